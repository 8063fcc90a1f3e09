"""Reading a regular expression of JavaScript (ECMA-262 with annex B, no flag but `i`) into a tree."""

from __future__ import annotations

import re
from typing import Final

from shared.patterns.tree import (
    Chars,
    Choice,
    Edge,
    Look,
    Node,
    NoPattern,
    Ranges,
    Repeat,
    Sequence,
    UnsupportedPattern,
    complement,
)

MAX_GROUPS_DEEP: Final = 40
DIGIT: Final[Ranges] = ((0x30, 0x39),)
WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Final[Ranges] = (
    *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
LINE_END: Final[Ranges] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
NOTHING_TO_REPEAT: Final = "nothing to repeat"


def read_pattern(pattern: str) -> Node:
    """Read a pattern whose characters are UTF-16 units. Raises NoPattern and UnsupportedPattern."""
    reader = _Reader(pattern)
    tree = reader.read_choice(0)
    if not reader.is_at_end():
        raise NoPattern("unmatched ')'")
    reader.refuse_references()
    return tree


_CLASSES: Final = {
    "d": DIGIT,
    "D": complement(DIGIT),
    "s": SPACE,
    "S": complement(SPACE),
    "w": WORD,
    "W": complement(WORD),
}
_CONTROLS: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_LOOKS: Final = {"(?=": (False, False), "(?!": (False, True), "(?<=": (True, False), "(?<!": (True, True)}
_QUANTIFIERS: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_BRACES: Final = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}", re.ASCII)
_NUMBER: Final = re.compile("[1-9][0-9]*", re.ASCII)
_OCTAL: Final = re.compile("[0-3]?[0-7]{1,2}", re.ASCII)
_HEX: Final = re.compile("x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_$\x80-\uffff][\w$\x80-\uffff]*>", re.ASCII)
_BACK: Final = re.compile("k<" + _NAME.pattern, re.ASCII)
# Strips what only looks like a group, to count those that capture before any of them is read.
_NO_GROUP: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]?", re.DOTALL)
_GROUP: Final = re.compile(r"\((?!\?)|\(\?<(?![=!])")


class _Reader:
    """A cursor over the pattern."""

    def __init__(self, pattern: str) -> None:
        bare = _NO_GROUP.sub("_", pattern)
        self._text = pattern
        self._at = 0
        self._groups = len(_GROUP.findall(bare))
        self._has_names = re.search(r"\(\?<(?![=!])", bare) is not None
        self._names: set[str] = set()
        self._references: list[str] = []

    def is_at_end(self) -> bool:
        return self._at >= len(self._text)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def read_choice(self, depth: int) -> Node:
        if depth > MAX_GROUPS_DEEP:
            raise UnsupportedPattern(f"its groups nest deeper than {MAX_GROUPS_DEEP} levels; write it flatter")
        branches = [self._read_sequence(depth)]
        while self._take("|"):
            branches.append(self._read_sequence(depth))
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _read_sequence(self, depth: int) -> Node:
        items: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            start = self._at
            item = self._read_term(depth)
            opening = self._text[start : start + 4]
            repeatable = opening not in ("(?<=", "(?<!") if opening[0] == "(" else not isinstance(item, Edge)
            items.append(self._read_quantifier(item, repeatable))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _read_quantifier(self, item: Node, repeatable: bool) -> Node:
        character = self._peek()
        if character in _QUANTIFIERS:
            self._at += 1
            low, high = _QUANTIFIERS[character]
        else:
            braces = self._match(_BRACES)
            if braces is None:
                return item
            low = int(braces[1])
            high = low if braces[2] is None else int(braces[3]) if braces[3] else None
        if not repeatable:
            raise NoPattern(NOTHING_TO_REPEAT)
        if high is not None and high < low:
            raise NoPattern("numbers of a quantifier out of order")
        self._take("?")  # lazy or greedy, the same texts match
        return Repeat(item, low, high)

    def _read_term(self, depth: int) -> Node:
        character = self._text[self._at]
        if character == "(":
            return self._read_group(depth)
        if character == "{" and _BRACES.match(self._text, self._at):
            raise NoPattern(NOTHING_TO_REPEAT)
        self._at += 1
        if character in "^$":
            return Edge(character)
        if character == ".":
            return Chars(LINE_END, negated=True)
        if character == "[":
            return self._read_class()
        if character in "*+?":
            raise NoPattern(NOTHING_TO_REPEAT)
        if character == "\\":
            return self._read_escape()
        return _one(ord(character))

    def _read_group(self, depth: int) -> Node:
        start = self._at
        for opening, (behind, negated) in _LOOKS.items():
            if self._take(opening):
                body = self._close(depth)
                return Look(body, behind, negated)
        if self._take("(?<"):
            name = self._match(_NAME)
            if name is None or name.group() in self._names:
                raise NoPattern("invalid or duplicate group name")
            self._names.add(name.group())
        elif not self._take("(?:") and self._take("(?"):
            remedy = "; for any case write $regexi" if self._peek() == "i" else ""
            raise NoPattern(f"there is no group (?{self._peek()}{remedy}")
        elif self._at == start:
            self._at += 1
        return self._close(depth)

    def _close(self, depth: int) -> Node:
        body = self.read_choice(depth + 1)
        if not self._take(")"):
            raise NoPattern("unterminated group")
        return body

    def _read_escape(self) -> Node:
        character = self._peek()
        if character in ("b", "B"):
            self._at += 1
            return Edge(character)
        if character == "k" and self._has_names:
            return self._refer(self._match(_BACK))
        number = _NUMBER.match(self._text, self._at)
        if number is not None and int(number.group()) <= self._groups:
            return self._refer(self._match(_NUMBER))
        return self._read_character()

    def _refer(self, found: re.Match[str] | None) -> Node:
        if found is None:
            raise NoPattern("invalid reference to a named group")
        self._references.append(found.group())
        return Sequence(())

    def refuse_references(self) -> None:
        """Refuse what refers back, once it is sure that JavaScript would take the pattern."""
        for reference in self._references:
            if reference[0] == "k" and reference[2:] not in self._names:
                raise NoPattern("invalid reference to a named group")
        if self._references:
            raise UnsupportedPattern(
                f"`\\{self._references[0]}` refers back to what a group matched, which can take exponentially long; "
                "write the text out"
            )

    def _read_character(self) -> Chars:
        """What follows a backslash, in a class or outside."""
        character = self._peek()
        if character == "":
            raise NoPattern(r"\ at the end")
        octal = self._match(_OCTAL)
        if octal is not None:
            return _one(int(octal.group(), 8))
        code = self._match(_HEX)
        if code is not None:
            return _one(int(code.group()[1:], 16))
        if character == "c":
            return self._read_control("")
        if character == "k" and self._has_names:
            raise NoPattern(r"invalid escape \k")
        self._at += 1
        if character in _CLASSES:
            return Chars(_CLASSES[character])
        return _one(_CONTROLS.get(character, ord(character)))

    def _read_control(self, more: str) -> Chars:
        r"""The letter of `\c`; where none follows, the backslash stands for itself."""
        letter = self._text[self._at + 1 : self._at + 2]
        if letter and letter.isascii() and (letter.isalpha() or letter in more):
            self._at += 2
            return _one(ord(letter) % 32)
        return _one(ord("\\"))

    def _read_class(self) -> Chars:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            low = self._read_class_atom()
            if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
                ranges += low
                continue
            self._at += 1
            high = self._read_class_atom()
            if _is_one(low) and _is_one(high):
                if high[0][0] < low[0][0]:
                    raise NoPattern("range out of order in a class")
                ranges.append((low[0][0], high[0][0]))
            else:
                ranges += (*low, (ord("-"), ord("-")), *high)
        return Chars(tuple(ranges), negated)

    def _read_class_atom(self) -> Ranges:
        if self.is_at_end():
            raise NoPattern("unterminated class")
        character = self._text[self._at]
        self._at += 1
        if character != "\\":
            return _one(ord(character)).ranges
        if self._take("b"):
            return _one(8).ranges
        if self._peek() == "c":
            return self._read_control("0123456789_").ranges
        return self._read_character().ranges


def _one(code: int) -> Chars:
    return Chars(((code, code),))


def _is_one(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]
