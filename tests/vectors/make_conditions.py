"""The golden cases of targeting conditions and of regular expressions, written out by hand.

Every operator has cases that hold and cases that do not, of its own and of the values that JavaScript converts in its
way. The expected answers are those of the reference implementation, but where docs/adr/0021 departs from it: in the
order of an object's fields, and in letters beyond ASCII.
"""

from __future__ import annotations

from shared.conditions import matches
from shared.patterns import compile_pattern
from tests.vectors.make import Case, same

LILA: Case = {
    "name": "Lila",
    "age": 34,
    "rating": 4.5,
    "member": True,
    "muted": False,
    "note": "",
    "none": 0,
    "gone": None,
    "typed": "12.5",
    "topics": ["tents", "Ropes", 3],
    "carts": [{"sum": 20, "open": True}, {"sum": 310, "open": False}],
    "home": {"town": "Ulm", "at": {"height": 478}},
    "app": "3.12.0",
    "street": "Äußere Straße",
    "nested": [[1], [2]],
    "holes": [None, ""],
}
GROUPS: Case = {
    "crew": ["Lila", 34, None],
    "strangers": ["Omar"],
    "guests": {"type": "list", "attributeKey": "name", "values": ["Lila", "Noor"]},
    "ages": {"type": "list", "values": [33, 34]},
    "adults": {"type": "condition", "condition": {"age": {"$gte": 18}}},
    "adult guests": {"type": "condition", "condition": {"$savedGroup": {"id": "guests"}, "age": {"$gte": 18}}},
    "itself": {"type": "condition", "condition": {"$savedGroup": {"id": "itself"}}},
    "newer": {"type": "cohort", "values": ["Lila"]},
}

# A sentence, and a condition that holds of Lila.
HOLDS: list[tuple[str, Case]] = [
    ("an empty condition asks for nothing", {}),
    # Bare values
    ("a text is itself", {"name": "Lila"}),
    ("a number equals its text", {"age": "34"}),
    ("a text that reads as a number equals it", {"typed": 12.5}),
    ("a fraction is written as JavaScript writes it", {"rating": "4.5"}),
    ("true is what is not empty", {"name": True}),
    ("false is zero", {"none": False}),
    ("false is an empty text", {"note": False}),
    ("an empty text counts as zero", {"note": 0}),
    ("true counts as one", {"member": 1}),
    ("true is also written out", {"member": "true"}),
    ("null is a missing attribute", {"nobody": None}),
    ("a missing attribute is written null", {"nobody": "null"}),
    ("a missing attribute counts as zero", {"nobody": 0}),
    ("a list equals its joined text", {"topics": "tents,Ropes,3"}),
    ("null in a list is written as nothing", {"holes": ","}),
    ("an object is written the same whatever it holds", {"home": "[object Object]"}),
    ("a list equals one of the same elements", {"topics": ["tents", "Ropes", 3]}),
    ("an object equals one of the same fields", {"home": {"town": "Ulm", "at": {"height": 478}}}),
    ("an object's fields may stand in any order", {"home": {"at": {"height": 478}, "town": "Ulm"}}),
    ("all attributes of a condition count", {"name": "Lila", "age": 34}),
    # Paths
    ("a path leads into an object", {"home.at.height": 478}),
    ("a path leads into a list by its index", {"carts.1.sum": 310}),
    ("a list has a length", {"topics.length": 3}),
    ("a path beyond the end of a list leads nowhere", {"topics.7": None}),
    ("a path through a text leads nowhere", {"name.first": None}),
    # $and $or $nor $not
    ("$and of conditions that hold", {"$and": [{"name": "Lila"}, {"age": 34}, {"member": True}]}),
    ("$and of nothing", {"$and": []}),
    ("$or with one that holds", {"$or": [{"name": "Omar"}, {"age": 34}]}),
    ("$or of nothing holds as well", {"$or": []}),
    ("$nor of conditions none of which holds", {"$nor": [{"name": "Omar"}, {"age": 35}]}),
    ("$not of a condition that does not hold", {"$not": {"name": "Omar"}}),
    ("$not of an operator", {"age": {"$not": {"$gt": 40}}}),
    ("$not of a bare value", {"name": {"$not": "Omar"}}),
    ("$not of what nobody knows", {"age": {"$not": {"$around": 34}}}),
    ("logic in logic", {"$or": [{"$and": [{"age": 1}]}, {"$not": {"$nor": [{"member": True}]}}]}),
    # $eq $ne
    ("$eq of the same text", {"name": {"$eq": "Lila"}}),
    ("$eq of the same number written otherwise", {"age": {"$eq": 34.0}}),
    ("$eq of null and a missing attribute", {"nobody": {"$eq": None}}),
    ("$ne of another text", {"name": {"$ne": "Omar"}}),
    ("$ne does not convert", {"age": {"$ne": "34"}}),
    ("$ne of a list, which is identical to nothing", {"topics": {"$ne": ["tents", "Ropes", 3]}}),
    # $lt $lte $gt $gte
    ("$lt of numbers", {"age": {"$lt": 34.5}}),
    ("$lt of a missing attribute, which counts as zero", {"nobody": {"$lt": 1}}),
    ("$lt of texts by their UTF-16 units", {"name": {"$lt": "lila"}}),
    ("$lt of a number and a text that reads as one", {"age": {"$lt": "1e2"}}),
    ("$lte of equal numbers", {"age": {"$lte": 34}}),
    ("$lte of an empty text, which counts as zero", {"note": {"$lte": 0}}),
    ("$gt of numbers", {"rating": {"$gt": 4}}),
    ("$gt of a text that reads as a number", {"typed": {"$gt": 9}}),
    ("$gt of a list as a text", {"topics": {"$gt": "socks"}}),
    ("$gte of equal texts", {"name": {"$gte": "Lila"}}),
    ("$gte of true, which counts as one", {"member": {"$gte": 1}}),
    ("a range", {"age": {"$gte": 18, "$lt": 65}}),
    # $in $nin $ini $nini
    ("$in with the value", {"name": {"$in": ["Omar", "Lila"]}}),
    ("$in with an element of a list", {"topics": {"$in": ["boats", "Ropes"]}}),
    ("$in with null for a missing attribute", {"nobody": {"$in": [None]}}),
    ("$nin without the value", {"name": {"$nin": ["Omar"]}}),
    ("$nin does not convert", {"age": {"$nin": ["34", True]}}),
    ("$nin without any element of a list", {"topics": {"$nin": ["ropes", "boats"]}}),
    ("$nin of nothing", {"name": {"$nin": []}}),
    ("$ini in other letters", {"name": {"$ini": ["LILA"]}}),
    ("$ini of an element in other letters", {"topics": {"$ini": ["ropes"]}}),
    ("$ini beyond ASCII", {"street": {"$ini": ["ÄUßERE STRAßE"]}}),
    ("$ini of a number", {"age": {"$ini": [34]}}),
    ("$nini without it in any letters", {"name": {"$nini": ["OMAR"]}}),
    ("$nini of a list without any", {"topics": {"$nini": ["BOATS", 4]}}),
    # $all $alli
    ("$all of several", {"topics": {"$all": [3, "tents"]}}),
    ("$all of nothing", {"topics": {"$all": []}}),
    ("$all of conditions", {"topics": {"$all": [{"$gt": "t"}, {"$in": [3]}]}}),
    ("$alli in other letters", {"topics": {"$alli": ["ROPES", "Tents"]}}),
    ("$alli of a number written as a text", {"topics": {"$alli": ["3"]}}),
    # $exists $type
    ("$exists of an empty text", {"note": {"$exists": True}}),
    ("$exists asks for absence", {"nobody": {"$exists": False}}),
    ("$exists takes null for absence", {"gone": {"$exists": False}}),
    ("$exists of anything but nothing", {"age": {"$exists": "yes"}}),
    ("$type of a text", {"name": {"$type": "string"}}),
    ("$type of a number", {"rating": {"$type": "number"}}),
    ("$type of a boolean", {"muted": {"$type": "boolean"}}),
    ("$type of a list", {"topics": {"$type": "array"}}),
    ("$type of an object", {"home": {"$type": "object"}}),
    ("$type of a missing attribute", {"nobody": {"$type": "null"}}),
    # $size $elemMatch
    ("$size of a list", {"topics": {"$size": 3}}),
    ("$size in a range", {"topics": {"$size": {"$gt": 2, "$lt": 4}}}),
    ("$size as a text", {"topics": {"$size": "3"}}),
    ("$elemMatch of an operator", {"topics": {"$elemMatch": {"$regex": "^R"}}}),
    ("$elemMatch of one object that has it all", {"carts": {"$elemMatch": {"sum": {"$gt": 100}, "open": False}}}),
    ("$elemMatch with logic inside", {"carts": {"$elemMatch": {"open": True, "$or": [{"sum": 1}, {"sum": 20}]}}}),
    ("$elemMatch in another", {"nested": {"$elemMatch": {"$elemMatch": {"$eq": 2}}}}),
    # $regex $regexi
    ("$regex at the beginning", {"name": {"$regex": "^L"}}),
    ("$regex of a number's text", {"rating": {"$regex": r"^\d\.5$"}}),
    ("$regex of a missing attribute's text", {"nobody": {"$regex": "^null$"}}),
    ("$regex may end on a line's end only at the text's", {"name": {"$regex": "a$"}}),
    ("$regexi in other letters", {"name": {"$regexi": "^lILA$"}}),
    ("$regexi without a match, turned over", {"name": {"$not": {"$regexi": "omar"}}}),
    # $inGroup $notInGroup $savedGroup
    ("$inGroup of a list", {"name": {"$inGroup": "crew"}}),
    ("$inGroup of an object that lists", {"age": {"$inGroup": "ages"}}),
    ("$inGroup of null", {"nobody": {"$inGroup": "crew"}}),
    ("$notInGroup of a list", {"name": {"$notInGroup": "strangers"}}),
    ("$notInGroup of an object that lists", {"age": {"$notInGroup": "guests"}}),
    ("$notInGroup of a group nobody knows", {"name": {"$notInGroup": "unknown"}}),
    ("$savedGroup by the group's attribute", {"$savedGroup": {"id": "guests"}}),
    ("$savedGroup by an attribute of its own", {"$savedGroup": {"id": "ages", "attributeKey": "age"}}),
    ("$savedGroup of a condition", {"$savedGroup": {"id": "adults"}}),
    ("$savedGroup that asks another", {"$savedGroup": {"id": "adult guests"}}),
    ("$savedGroup turned over", {"$not": {"$savedGroup": {"id": "guests", "attributeKey": "home.town"}}}),
    # $veq to $vlte
    ("$veq with a v and a build", {"app": {"$veq": "v3.12.0+build.5"}}),
    ("$veq of a missing attribute, which is version 0", {"nobody": {"$veq": "0"}}),
    ("$vne of two parts and three", {"app": {"$vne": "3.12"}}),
    ("$vgt counts parts as numbers", {"app": {"$vgt": "3.9.9"}}),
    ("$vgt of a release over its preview", {"app": {"$vgt": "3.12.0-rc.2"}}),
    ("$vgt of a plain number", {"age": {"$vgt": 33}}),
    ("$vgte of itself", {"app": {"$vgte": "3.12.0"}}),
    ("$vlt of a later patch", {"app": {"$vlt": "3.12.1"}}),
    ("$vlte of itself", {"app": {"$vlte": "3.12.0"}}),
]

# A sentence, and a condition that does not hold of Lila.
FAILS: list[tuple[str, Case]] = [
    ("a text in other letters", {"name": "lila"}),
    ("a missing attribute is not false", {"nobody": False}),
    ("null is not false", {"gone": False}),
    ("zero is not null", {"none": None}),
    ("a text that is no number equals none", {"name": 0}),
    ("a list of other elements", {"topics": ["tents", "Ropes", "3"]}),
    ("a list in another order", {"topics": ["Ropes", "tents", 3]}),
    ("an object with fewer fields", {"home": {"town": "Ulm"}}),
    ("an object without fields", {"home": {}}),
    ("operators beside a field are a value, not operators", {"age": {"$gt": 1, "x": 1}}),
    ("one attribute of two", {"name": "Lila", "age": 35}),
    ("an index with a zero before it is none", {"topics.00": "tents"}),
    ("$and with one that does not hold", {"$and": [{"name": "Lila"}, {"age": 35}]}),
    ("$or of conditions none of which holds", {"$or": [{"name": "Omar"}, {"age": 35}]}),
    ("$nor with one that holds", {"$nor": [{"name": "Omar"}, {"age": 34}]}),
    ("$nor of nothing", {"$nor": []}),
    ("$not of an empty condition", {"$not": {}}),
    ("$not of what holds", {"age": {"$not": {"$lt": 40}}}),
    ("$eq of another text", {"name": {"$eq": "lila"}}),
    ("$eq does not convert", {"age": {"$eq": "34"}}),
    ("$eq of a list, which is identical to nothing", {"topics": {"$eq": ["tents", "Ropes", 3]}}),
    ("$ne of the same", {"age": {"$ne": 34}}),
    ("$lt of equal numbers", {"age": {"$lt": 34}}),
    ("$lt of a text that is no number", {"age": {"$lt": "many"}}),
    ("$lte of a smaller number", {"age": {"$lte": 33.9}}),
    ("$gt of equal numbers", {"age": {"$gt": 34}}),
    ("$gt of a text that is no number", {"age": {"$gt": "many"}}),
    ("$gte of a larger text", {"name": {"$gte": "Lila "}}),
    ("$gte of a number with an underscore, which is none", {"age": {"$gte": "1_0"}}),
    ("a range that ends too early", {"age": {"$gte": 18, "$lt": 34}}),
    ("$in in other letters", {"name": {"$in": ["lila"]}}),
    ("$in does not convert", {"member": {"$in": [1, "true"]}}),
    ("$in of what is no list", {"name": {"$in": "Lila"}}),
    ("$nin with the value", {"name": {"$nin": ["Lila"]}}),
    ("$nin of what is no list", {"name": {"$nin": "Omar"}}),
    ("$ini without it", {"name": {"$ini": ["LIL"]}}),
    ("$ini of what is no list", {"name": {"$ini": "LILA"}}),
    ("$nini with it in other letters", {"topics": {"$nini": ["ROPES"]}}),
    ("$nini of what is no list", {"name": {"$nini": "OMAR"}}),
    ("$all with one that is missing", {"topics": {"$all": ["tents", "boats"]}}),
    ("$all of what is no list", {"name": {"$all": ["Lila"]}}),
    ("$all in other letters", {"topics": {"$all": ["ropes"]}}),
    ("$alli with one that is missing", {"topics": {"$alli": ["TENTS", "BOATS"]}}),
    ("$alli of a text", {"name": {"$alli": ["lila"]}}),
    ("$exists of a missing attribute", {"nobody": {"$exists": True}}),
    ("$exists of null", {"gone": {"$exists": 1}}),
    ("$exists asks for absence in vain", {"note": {"$exists": 0}}),
    ("$type of a number is not that of its text", {"age": {"$type": "string"}}),
    ("$type of null is not that of an object", {"gone": {"$type": "object"}}),
    ("$type of a list is not that of an object", {"topics": {"$type": "object"}}),
    ("$size of another", {"topics": {"$size": 2}}),
    ("$size of a text", {"name": {"$size": 4}}),
    ("$elemMatch of no element", {"topics": {"$elemMatch": {"$eq": "ropes"}}}),
    ("$elemMatch of two objects that have it together", {"carts": {"$elemMatch": {"sum": 20, "open": False}}}),
    ("$elemMatch of a text", {"name": {"$elemMatch": {"$eq": "L"}}}),
    ("$elemMatch passes over null", {"holes": {"$elemMatch": {"$eq": None}}}),
    ("$regex in other letters", {"name": {"$regex": "^l"}}),
    ("$regex that is none", {"name": {"$regex": "L("}}),
    ("$regex that is no text", {"age": {"$regex": 34}}),
    ("$regexi of another word", {"name": {"$regexi": "omar"}}),
    ("$regexi takes the letters of ASCII only", {"street": {"$regexi": "äU"}}),
    ("$inGroup of another list", {"name": {"$inGroup": "strangers"}}),
    ("$inGroup of a group nobody knows", {"name": {"$inGroup": "unknown"}}),
    ("$inGroup of a condition", {"name": {"$inGroup": "adults"}}),
    ("$inGroup does not convert", {"typed": {"$inGroup": "ages"}}),
    ("$notInGroup of a member", {"name": {"$notInGroup": "guests"}}),
    ("$notInGroup of a condition", {"name": {"$notInGroup": "adults"}}),
    ("$savedGroup of a plain list", {"$savedGroup": {"id": "crew", "attributeKey": "name"}}),
    ("$savedGroup without an attribute", {"$savedGroup": {"id": "ages"}}),
    ("$savedGroup that asks for itself", {"$savedGroup": {"id": "itself"}}),
    ("$savedGroup of a kind nobody knows", {"$savedGroup": {"id": "newer", "attributeKey": "name"}}),
    ("$savedGroup of an attribute", {"name": {"$savedGroup": {"id": "guests"}}}),
    ("$veq of two parts and three", {"app": {"$veq": "3.12"}}),
    ("$vne of the same with a v", {"app": {"$vne": "v3.12.0"}}),
    ("$vgt of itself", {"app": {"$vgt": "3.12.0"}}),
    ("$vgte of a later one", {"app": {"$vgte": "3.100.0"}}),
    ("$vlt of an earlier one", {"app": {"$vlt": "3.2.0"}}),
    ("$vlt of its own preview", {"app": {"$vlt": "3.12.0-rc.2"}}),
    ("$vlte of its own preview", {"app": {"$vlte": "3.12.0-rc.2"}}),
    ("an operator nobody knows", {"age": {"$around": 34}}),
]

# name, condition, attributes, expected: what the attributes of one visitor do not show
OTHERS: list[tuple[str, Case, Case, bool]] = [
    ("texts in the order of UTF-16", {"x": {"$lt": "\uff5e"}}, {"x": "\U0001f600"}, True),
    ("whole numbers beyond 2^53 are doubles", {"x": 9007199254740993}, {"x": 9007199254740992}, True),
    ("a number beyond all doubles is infinite", {"x": "Infinity"}, {"x": 10**400}, True),
    ("an exponent from 1e21 on", {"x": "1e+21"}, {"x": 1e21}, True),
    ("an exponent below 1e-6", {"x": "1e-7"}, {"x": 0.0000001}, True),
    ("a hexadecimal text is a number", {"x": {"$gt": 15}}, {"x": "0x10"}, True),
    ("blanks around a number do not count", {"x": 5}, {"x": "\ufeff 5\u2003"}, True),
    ("a digit beyond ASCII is none", {"x": 3}, {"x": "\u0663"}, False),
    ("lower case where Unicode has two letters for one", {"x": {"$ini": ["i\u0307"]}}, {"x": "\u0130"}, True),
    ("a capital that Unicode gained later stays one", {"x": {"$ini": ["\ua7ca"]}}, {"x": "\ua7c9"}, True),
    ("a capital of Unicode 16 stays as it is", {"x": {"$ini": ["\u1c8a"]}}, {"x": "\u1c89"}, False),
]

UA = (
    "Mozilla/5.0 (Linux; Android 14; sdk_gphone64 Build/UE1A.230829.050; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/126.0.6478.71 Shop/8.1.2 (channel=play; locale=de_DE; network=wifi; dark=1; tablet=0; "
    "notifications=granted; scale=2.75; density=440) Mobile Safari/537.36"
)
# pattern, whether case does not count, texts in which it occurs, texts in which it does not
PATTERNS: list[tuple[str, bool, list[str], list[str]]] = [
    ("a$", False, ["a", "ba"], ["a\n", "a\nb"]),
    ("^.$", False, ["a", "\x85", "é"], ["", "\n", "\r", "\u2028", "\u2029", "\U0001f600"]),
    ("^..$", False, ["\U0001f600"], ["a"]),
    (r"^\s+$", False, [" \t\n\v\f\r\xa0\u1680\u2003\u2028\u3000\ufeff"], ["\x1c", "\x85", "\u180e"]),
    (r"^\d\w$", False, ["1a", "2_"], ["\u0663a", "1é"]),
    (r"\bb\B", False, ["a bc"], ["ab", "a b"]),
    (r"^\B$", False, [""], ["a"]),
    (r"^[\c_\cA\c]+$", False, ["\x1f\x01c\\"], ["_"]),
    ("^[^]$", False, ["\n", "a"], [""]),
    ("[]", False, [], ["", "a"]),
    ("^[a-z]k$", True, ["AK", "ak"], ["a\u212a", "\u212ak"]),
    (r"^É\W$", True, ["É!"], ["é!", "Éa"]),
    ("^[@-^]$", True, ["a", "^", "@"], ["_", "`"]),
    ("^(?:a|bc){2,4}$", False, ["abc", "bcbcbcbc"], ["a", "aaaaa"]),
    ("^((?!foo).)*$", False, ["", "fob" * 300], ["foo", "fob" * 300 + "foo"]),
    ("(?<=a+)b", False, ["aab"], ["b"]),
    ("^(?!.*bot).*chrome", False, ["a chrome"], ["a chrome bot"]),
    ("^(a+)+$", False, ["a" * 2_000], ["a" * 1_999 + "!", "a" * 30 + "!"]),
    (r"^(\w+\s?)+$", False, ["some words " * 100], ["some words " * 100 + "!"]),
    ("(x+x+)+y", False, ["x" * 500 + "y"], ["x" * 500]),
    ("^([a-z0-9]+(-[a-z0-9]+)*)+$", True, ["Wool-Coats-2026" * 20], ["wool--coats" * 20]),
    ("(iPhone|iPad|Android).*Safari", False, [UA], [UA[:-15], UA.replace("Android", "Macos")]),
    (r"Mozilla/5\.0 \(.*(iPhone|Android).*\) .*Safari", False, [UA], [UA.replace(")", "")]),
    (r"Chrome/(\d+)\.(\d+)\.\d+\.\d+", False, [UA], [UA.replace("6478.71", "6478")]),
    (r"^https?://([a-z0-9-]+\.)+example/.*[?&]id=\d+$", False, ["https://www.example/?q=" + "x" * 300 + "&id=7"],
     ["https://www.example/?q=" + "x" * 300 + "&id=x"]),
    (r"^[^@]+@[^@]+\.[a-z]+$", False, ["l" * 400 + "@mail.example"], ["l" * 400 + "@mail.example.1"]),
    (".*foo.*bar.*baz.*", False, ["foo" + "." * 500 + "bar" + "." * 500 + "baz"], ["foo" + "." * 500 + "baz"]),
    ("b$", False, ["a" * 1_999 + "b" + "c"], ["a" * 2_000 + "b"]),
]  # fmt: skip


def conditions() -> tuple[Case, list[Case]]:
    """What stands at the head of the file, and the cases; those without attributes ask about Lila."""
    cases: list[Case] = []
    for listed, expected in ((HOLDS, True), (FAILS, False)):
        for name, condition in listed:
            same(matches(condition, LILA, GROUPS), expected)
            cases.append({"name": name, "condition": condition, "expected": expected})
    for name, condition, attributes, expected in OTHERS:
        same(matches(condition, attributes, GROUPS), expected)
        cases.append({"name": name, "condition": condition, "attributes": attributes, "expected": expected})
    return {"attributes": LILA, "groups": GROUPS}, cases


def patterns() -> list[Case]:
    cases: list[Case] = []
    for pattern, insensitive, found, missed in PATTERNS:
        search = compile_pattern(pattern, insensitive=insensitive)
        for texts, expected in ((found, True), (missed, False)):
            for text in texts:
                same(search(text), expected)
                cases.append({"pattern": pattern, "insensitive": insensitive, "text": text, "expected": expected})
    return cases
