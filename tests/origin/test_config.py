"""`usher.toml`: what it gives when it is right, and every message when it is not."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from origin.attributes import BUILT_IN_ATTRIBUTES, NAMESPACES, referenced_paths
from origin.config import Config, config_json_schema, load_config
from origin.errors import ConfigError, OriginError
from origin.touchpoint_config import Epoch, Level
from shared.posterior import LEVELS
from shared.records import EPOCHS

DEMO = Path(__file__).parents[2] / "usher.toml"

SITE = """
[site]
id = "shop"
[goals.signup]
"""
HERO = """
[touchpoints.hero]
goal = "signup"
default = "house"
pages = ["/"]
variants = [{ name = "house" }, { name = "craft", html = "<p>Craft</p>" }]
"""
PICK = """
[touchpoints.pick]
goal = "signup"
default = "item-1"
pages = ["/"]
catalogue = { file = "items.csv", name = "item-{id}", html = "<b title='{title}'>{title}</b>", floor = 0.01 }
"""
ITEMS = 'id,title\n1,"Salt & ""Pepper"""\n\n2,<i>it\'s</i>\n3,{id}\n'


def write(folder: Path, text: str, **files: str) -> Path:
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    path = folder / "usher.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(folder: Path, text: str, **files: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text, **files))
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(problem.startswith("usher.toml: ") for problem in caught.value.problems)
    return [problem.removeprefix("usher.toml: ") for problem in caught.value.problems]


def test_defaults_fill_what_a_small_file_leaves_out(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SITE + HERO))
    assert (config.site.holdout_share, config.site.honour_gpc) == (0.1, True)
    assert config.goals["signup"].window_h == 24.0
    hero = config.touchpoints["hero"]
    assert (hero.epoch, hero.learning.min_segment_decisions) == ("session", 1000)
    assert [(each.name, each.html, each.floor, each.condition) for each in hero.expanded_variants] == [
        ("house", None, 0.0, None),
        ("craft", "<p>Craft</p>", 0.0, None),
    ]


def test_segments_keep_the_order_of_the_file_and_headers_become_lower_case(tmp_path: Path) -> None:
    text = """
    [segments]
    z.condition = { device = "mobile" }
    a.condition = { tier = "gold" }
    [attributes.tier]
    header = "X-Tier"
    """
    config = load_config(write(tmp_path, SITE + HERO + text))
    assert list(config.segments) == ["z", "a"]
    assert config.attributes["tier"].header == "x-tier"


def test_a_catalogue_makes_one_variant_a_row_with_escaped_values(tmp_path: Path) -> None:
    pick = load_config(write(tmp_path, SITE + PICK, items=ITEMS)).touchpoints["pick"]
    assert [(each.name, each.html, each.floor) for each in pick.expanded_variants] == [
        ("item-1", "<b title='Salt &amp; &quot;Pepper&quot;'>Salt &amp; &quot;Pepper&quot;</b>", 0.01),
        ("item-2", "<b title='&lt;i&gt;it&#x27;s&lt;/i&gt;'>&lt;i&gt;it&#x27;s&lt;/i&gt;</b>", 0.01),
        ("item-3", "<b title='{id}'>{id}</b>", 0.01),
    ]


def test_braces_that_are_no_placeholder_stay(tmp_path: Path) -> None:
    html = "<style>@media print{.a{color:red}}</style>{{id}} { id } {}"
    text = PICK.replace("<b title='{title}'>{title}</b>", html)
    pick = load_config(write(tmp_path, SITE + text, items=ITEMS)).touchpoints["pick"]
    assert pick.expanded_variants[0].html == "<style>@media print{.a{color:red}}</style>{id} { id } {}"


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "\ufeff" + SITE + PICK, items="\ufeff" + ITEMS))
    assert len(config.touchpoints["pick"].expanded_variants) == 3


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
    [site]
    id = "My Shop"
    holdout_share = 0.9
    honour_gcp = true
    [attributes.nothing]
    [attributes.both]
    query = "a"
    header = "b"
    [goals.signup]
    window_h = 0
    [segments."x|y"]
    condition = { "$or" = { device = "mobile" } }
    [touchpoints.hero]
    goal = "signpu"
    default = "hous"
    pages = ["home"]
    epoch = "sesion"
    [[touchpoints.hero.variants]]
    name = "house"
    floor = 0.4
    [[touchpoints.hero.variants]]
    name = "craft"
    html = ""
    floor = 0.5
    condition = { "$and" = [3] }
    [[touchpoints.hero.variants]]
    name = "craft"
    floor = 0.2
    [[touchpoints.hero.variants]]
    html = 3
    floor = "0.1"
    """
    assert problems_of(tmp_path, text) == [
        'site.id: "My Shop" is not allowed; write small letters, digits and "-", such as id = "my-shop"',
        "site.holdout_share: 0.9 is more than 0.5; write at most 0.5, such as holdout_share = 0.1",
        "site.honour_gcp: is not a known key; write honour_gpc",
        'attributes.nothing: has neither query nor header; write one of them, such as query = "nothing"',
        'attributes.both: has both query and header; write one of them, such as query = "both"',
        "goals.signup.window_h: 0 is not more than 0; write more than 0, such as window_h = 24",
        'segments."x|y": "x|y" is not allowed; write a name of letters, digits, "_", "." and "-" that begins with a '
        "letter or a digit",
        "segments.\"x|y\".condition.$or: expected a list of conditions, got object \"{'device': 'mobile'}\"; "
        'write it as in condition = { device = "mobile" }',
        'touchpoints.hero.goal: "signpu" is no goal of this file; write "signup", or add [goals.signpu]',
        'touchpoints.hero.default: "hous" is no variant of this touchpoint; write "house"',
        'touchpoints.hero.pages[0]: "home" is not allowed; write a path that begins with "/", without query and '
        'fragment, such as pages = ["/", "/men/*"]',
        'touchpoints.hero.epoch: "sesion" is not known; write "session", "day", "week", "snapshot" or "forever", '
        'such as epoch = "session"',
        "touchpoints.hero.variants: the floors are 0.4 + 0.5 + 0.2 = 1.1, more than 1; lower them until they sum to 1 "
        "or less",
        "touchpoints.hero.variants[1].condition.$and[0]: expected an object of attribute names and operators, got "
        "number '3'; write it as in condition = { device = \"mobile\" }",
        'touchpoints.hero.variants[2].name: "craft" is already the name of variants[1]; give every variant a name of '
        "its own",
        "touchpoints.hero.variants[2].html: is missing, and only the default variant may go without; write "
        'html = "<p>…</p>"',
        "touchpoints.hero.variants[3].html: 3 is not a text; write a text in quotes, such as "
        'html = "<h1>Summer is here</h1>"',
        'touchpoints.hero.variants[3].floor: "0.1" is not a number; write a number without quotes, such as '
        "floor = 0.05",
        'touchpoints.hero.variants[3].name: is missing; add it, such as name = "summer"',
    ]


def test_an_empty_file_says_what_to_begin_with(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "") == [
        'site: is missing; add it, such as site = { id = "my-shop" }',
        'touchpoints: is missing; add it, such as touchpoints = { hero = { default = "house" } }',
    ]


NAME_RULE = 'write a name of letters, digits, "_", "." and "-" that begins with a letter or a digit'
MISTAKES = [
    (
        "[goals.signup]",
        "[goals.signup]\nx = 3",
        "goals.signup.x: is not a known key; remove it, or write one of window_h, event",
    ),
    ('"shop"', "3", 'site.id: 3 is not a text; write a text in quotes, such as id = "my-shop"'),
    ("[goals.signup]", "", 'touchpoints.hero.goal: "signup" is no goal of this file; add [goals.signup]'),
    (
        "[goals.signup]",
        "[goals.signup]\nwindow_h = inf",
        "goals.signup.window_h: inf is not a finite number; write a finite number, such as window_h = 24",
    ),
    (
        "variants = [{",
        "variants = [] # [{",
        "touchpoints.hero: has no variants; add [[touchpoints.hero.variants]] or [touchpoints.hero.catalogue]",
    ),
    ('["/"]', "[]", 'touchpoints.hero.pages: is empty; write at least one, such as pages = ["/", "/men/*"]'),
    (
        '"house" }',
        '"house", condition = { language = { "$gt" = 2026-01-01 } } }',
        "touchpoints.hero.variants[0].condition: holds a date or a number that is not finite; write texts and "
        'numbers, as in condition = { device = "mobile" }',
    ),
    (
        "variants",
        "learning = { min_segment_decision = 1 }\nvariants",
        "touchpoints.hero.learning.min_segment_decision: is not a known key; write min_segment_decisions",
    ),
    ("touchpoints.hero", 'touchpoints."a:b"', f'touchpoints."a:b": "a:b" is not allowed; {NAME_RULE}'),
    (
        '"craft"',
        '"a b"',
        f'touchpoints.hero.variants[1].name: "a b" is not allowed; {NAME_RULE}, such as name = "summer"',
    ),
    (
        '["/"]',
        '["/", "/größe/a%20b/*"]',
        'touchpoints.hero.pages[1]: "/größe/a%20b/*" never matches: browsers encode it; write '
        '"/gr%C3%B6%C3%9Fe/a%20b/*"',
    ),
    *(
        (
            "[goals.signup]",
            f'[goals.signup]\n[attributes.{name}]\nquery = "q"',
            f"attributes.{name}: is built in; give your attribute another name, such as my_{name}",
        )
        for name in (*BUILT_IN_ATTRIBUTES, *NAMESPACES)
    ),
    *(
        (
            "[goals.signup]",
            f'[goals.signup]\n[attributes.a]\nheader = "{header}"',
            f'attributes.a.header: "{header}" holds secrets, and attributes are logged with every decision; name '
            "another header",
        )
        for header in ("cookie", "authorization", "Cookie", "AUTHORIZATION")
    ),
    *(
        (
            "[goals.signup]",
            f'origins = ["https://www.example.com", "{origin}"]\n[goals.signup]',
            f'site.origins[1]: "{origin}" is not allowed; write an origin as browsers send it: https, the host in '
            'small letters, no path, such as origins = ["https://www.example.com"]',
        )
        for origin in ("https://www.example.com/", "http://example.com", "www.example.com", "*", "null", "https://A.de")
    ),
    (
        '"craft"',
        f'"{"x" * 101}"',
        'touchpoints.hero.variants[1].name: is longer than 100 characters; shorten it, such as name = "summer"',
    ),
]


@pytest.mark.parametrize(("old", "new", "problem"), MISTAKES)
def test_one_mistake_is_named_with_its_remedy(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert problems_of(tmp_path, (SITE + HERO).replace(old, new, 1)) == [problem]


def test_an_unknown_default_is_answered_with_the_variants_there_are(tmp_path: Path) -> None:
    assert problems_of(tmp_path, SITE + HERO.replace('"house"\npages', '"x"\npages')) == [
        'touchpoints.hero.default: "x" is no variant of this touchpoint; write "house" or "craft"'
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "items.csv",
            "item.csv",
            'file: "item.csv" does not exist; write the path of a CSV file, relative to usher.toml',
        ),
        (
            "{title}</b>",
            "{titel}</b>",
            "html: {titel} is no column of the catalogue; write {title}, or {{titel}} for that very text",
        ),
        (
            "item-{id}",
            "{title}",
            'name: "Salt & \\"Pepper\\"" in line 2 of the catalogue is no name; take a column of at most 100 letters, '
            'digits, "_", "." and "-"',
        ),
        (
            "item-{id}",
            "item",
            'name: "item" in line 4 of the catalogue is already the name of line 2; take a column whose values differ',
        ),
        ("0.01", "0.5", "floor: the floors are 3 × 0.5 = 1.5, more than 1; write at most 0.33"),
        ("floor", "flor", "flor: is not a known key; write floor"),
        ('file = "items.csv", ', "", 'file: is missing; add it, such as file = "products.csv"'),
    ],
)
def test_a_mistake_in_a_catalogue_section_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    text = SITE + PICK.replace(old, new, 1)
    assert problems_of(tmp_path, text, items=ITEMS)[0] == f"touchpoints.pick.catalogue.{problem}"


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ("", "is empty; write a line of column names, and below it one line a variant"),
        ("id,title\n", "has no rows; write one line a variant below the column names"),
        ("id,title,id\n1,a,2\n", 'has two columns "id"; rename one of them'),
        ("id,title\n1\n", "has 1 value in line 2 for 2 columns; give every row one value a column"),
        (
            'id,title\n1,"a"b\n',
            "is not CSV (',' expected after '\"'); put values with commas or quotes in double quotes",
        ),
    ],
)
def test_a_catalogue_file_that_is_no_table_is_named(tmp_path: Path, items: str, problem: str) -> None:
    assert problems_of(tmp_path, SITE + PICK, items=items) == [
        f'touchpoints.pick.catalogue.file: "items.csv" {problem}'
    ]


def test_an_empty_name_and_many_like_problems_are_cut_short(tmp_path: Path) -> None:
    text = SITE + PICK.replace("item-{id}", "{title}").replace("{title}'", "'")
    problems = problems_of(tmp_path, text, items="id,title\n" + "1,\n" * 8)
    at = "touchpoints.pick.catalogue.name:"
    assert problems == [
        *(
            f"{at} the name is empty in line {line} of the catalogue; write a template that names every row"
            for line in range(2, 7)
        ),
        f"{at} and 3 more rows like these; correct the file or the template",
    ]


def test_the_default_of_a_catalogue_is_one_of_its_rows_even_where_its_html_is_wrong(tmp_path: Path) -> None:
    text = SITE + PICK.replace('"item-1"', '"item-7"').replace("{title}", "{titel}")
    assert problems_of(tmp_path, text, items=ITEMS) == [
        'touchpoints.pick.default: "item-7" is no variant of this touchpoint; write "item-3"',
        "touchpoints.pick.catalogue.html: {titel} is no column of the catalogue; write {title}, or {{titel}} for that "
        "very text",
    ]


def test_variants_and_a_catalogue_exclude_each_other(tmp_path: Path) -> None:
    text = SITE + PICK + 'variants = [{ name = "item-1" }]'
    assert problems_of(tmp_path, text, items=ITEMS) == [
        "touchpoints.pick: has both variants and a catalogue; keep one of them"
    ]


def test_floors_may_sum_to_exactly_one(tmp_path: Path) -> None:
    names = [f'{{ name = "v{i}", html = "", floor = 0.1 }}' for i in range(10)]
    text = HERO[: HERO.index("variants")].replace("house", "v0") + f"variants = [{', '.join(names)}]"
    assert len(load_config(write(tmp_path, SITE + text)).touchpoints["hero"].variants) == 10


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(OriginError) as missing:
        load_config(tmp_path / "usher.toml")
    assert str(missing.value) == f"usher.toml: does not exist in {tmp_path}; write one, or name another path"
    (tmp_path / "usher.toml").write_bytes(b'\n\na = "\xff"')
    with pytest.raises(ConfigError) as encoded:
        load_config(tmp_path / "usher.toml")
    assert str(encoded.value) == "usher.toml: is not UTF-8 (line 3); save the file as UTF-8"
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\); name the path of a file$"):
        load_config(tmp_path)


def test_invalid_toml_is_named_with_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, "[site]\nid = "))
    assert str(caught.value).startswith("usher.toml: is not valid TOML: Invalid value (at ")
    with pytest.raises(ConfigError, match=r"\(at line 2, column 4\); correct that place$"):
        load_config(write(tmp_path, "[site]\nid shop\n"))


def test_the_demo_loads_and_covers_its_touchpoints() -> None:
    config = load_config(DEMO)
    hero, pick = config.touchpoints["hero"], config.touchpoints["pick"]
    assert [variant.name for variant in hero.expanded_variants] == ["house", "craft", "offer", "season"]
    assert [variant.name for variant in pick.expanded_variants] == [f"item-{i}" for i in range(34)]
    assert {name: attribute.query for name, attribute in config.attributes.items()} == {
        f"user_feature_{i}": f"uf{i}" for i in range(4)
    }


def test_the_schema_describes_every_field_and_knows_the_keys_of_the_demo() -> None:
    schema = config_json_schema()
    assert (schema["$schema"], schema["title"]) == ("https://json-schema.org/draft/2020-12/schema", "usher.toml")
    tables: list[dict[str, Any]] = [schema, *schema["$defs"].values()]
    for table in tables:
        assert table["additionalProperties"] is False
        for field in table["properties"].values():
            described = field if "description" in field else schema["$defs"][field["$ref"].rpartition("/")[2]]
            assert described["description"]
            assert field["examples"]
            assert "anyOf" not in field
    demo = tomllib.loads(DEMO.read_text(encoding="utf-8"))
    assert demo.keys() <= schema["properties"].keys()
    assert demo["touchpoints"]["hero"].keys() <= schema["$defs"]["TouchpointConfig"]["properties"].keys()
    floor = schema["$defs"]["VariantConfig"]["properties"]["floor"]
    assert (floor["type"], floor["minimum"], floor["maximum"], floor["default"]) == ("number", 0, 1, 0.0)


def test_epochs_and_levels_are_those_of_the_core() -> None:
    assert get_args(Epoch) == EPOCHS
    assert get_args(Level) == LEVELS


def test_the_configuration_cannot_be_changed() -> None:
    config = Config.model_validate({"site": {"id": "a"}, "touchpoints": tomllib.loads(HERO)["touchpoints"]})
    with pytest.raises(ValueError, match="frozen"):
        config.site.holdout_share = 0.2


def test_referenced_paths_walks_the_logical_operators_only() -> None:
    condition = {
        "device": "mobile",
        "session.intent": {"$gt": 0.5},
        "$or": [{"a": 1}, {"$nor": [{"b": {"c": 1}}]}],
        "$and": [{"$not": {"d": {"$in": [1]}}}],
    }
    assert referenced_paths(condition) == {"device", "session.intent", "a", "b", "d"}
    assert referenced_paths({"$or": []}) == set()
    assert referenced_paths(3) == set()


def test_an_attribute_that_nothing_provides_is_named_where_a_condition_reads_it(tmp_path: Path) -> None:
    text = DEMO.read_text(encoding="utf-8").replace('device = "mobile"', 'devise = "mobile"')
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "men.csv").write_bytes((DEMO.parent / "site" / "men.csv").read_bytes())
    (tmp_path / "usher.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_config(tmp_path / "usher.toml")
    assert raised.value.problems == (
        'usher.toml: segments.mobile.condition: reads "devise", which is no attribute; write "device", or add '
        "[attributes.devise]",
    )
