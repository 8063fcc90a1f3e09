"""Shares, interests, slots and shifts of a touchpoint: what is published of them, and what no visit could satisfy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from origin.config import Config, load_config
from origin.errors import ConfigError
from origin.touchpoint_config import LevelsConfig, ShiftConfig, VariantConfig
from origin.variant_checks import DEFAULT_INTEREST_SHARE, MOST_LOGGED_BYTES
from tests.origin.shop import write_config

TEXT = """
[site]
id = "shop"
interest = "session.preferences.topic"
[questions.topic]
answers = ["coats", "shoes"]
[goals.click]
[touchpoints.hero]
goal = "click"
default = "house"
pages = ["/"]
slots = 3
interest_slots = [3, 1]
interest_share = 0.25
levels = { finest = "cluster", cluster_min_people = 500, require_gain = false }
learning = { min_person_decisions = 9, evaluation_days = 7 }
[[touchpoints.hero.variants]]
name = "house"
html = "<p>house</p>"
floor = 0.1
[[touchpoints.hero.variants]]
name = "coats"
html = "<b>coats</b>"
cap = 0.4
interests = ["coats", "tailoring"]
min_impressions = 500
because = "you like coats"
[touchpoints.hero.variants.shifts]
"session.referral=search" = { mean = 0.4, sd = 0.2 }
[[touchpoints.hero.variants]]
name = "shoes"
html = "<b>shoes</b>"
interests = ["shoes"]
"""
PICK = """
[site]
id = "shop"
interest = "session.preferences.topic"
[questions.topic]
answers = ["coats", "shoes"]
[goals.click]
[touchpoints.pick]
goal = "click"
default = "item-1"
pages = ["/"]
[touchpoints.pick.catalogue]
file = "items.csv"
name = "item-{id}"
html = "{id}"
floor = 0.1
cap = 0.5
min_impressions = 20
interests = ["{kind}", "{colour}", "clothes"]
"""
ITEMS = "id,kind,colour\n1,coats,\n2,shoes,red\n3,red,red\n"


def load(folder: Path, text: str) -> Config:
    path = write_config(folder, text)
    (folder / "items.csv").write_text(ITEMS)
    return load_config(path)


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [problem.removeprefix("usher.toml: ") for problem in caught.value.problems]


def test_everything_that_may_be_said_is_read(tmp_path: Path) -> None:
    hero = load(tmp_path, TEXT).touchpoints["hero"]
    assert (hero.slots, hero.interest_slots, hero.interest_share) == (3, (3, 1), 0.25)
    assert hero.levels == LevelsConfig(finest="cluster", cluster_min_people=500, require_gain=False)
    assert (hero.learning.min_person_decisions, hero.learning.evaluation_days) == (9, 7)
    house, coats, shoes = hero.expanded_variants
    assert house == VariantConfig(name="house", html="<p>house</p>", floor=0.1)
    assert coats.interests == ("coats", "tailoring")
    assert (coats.cap, coats.min_impressions, coats.because) == (0.4, 500, "you like coats")
    assert coats.shifts == {"session.referral=search": ShiftConfig(mean=0.4, sd=0.2)}
    assert (shoes.cap, shoes.min_impressions, shoes.because, shoes.shifts) == (1.0, 0, None, {})


def test_the_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    hero = load(tmp_path, TEXT.replace("slots = 3\n", "", 1).replace("interest_slots = [3, 1]\n", "")).touchpoints[
        "hero"
    ]
    assert (hero.slots, hero.interest_slots) == (1, ())
    assert VariantConfig(name="a").cap == 1.0
    assert LevelsConfig() == LevelsConfig(
        finest="individual",
        individual_ttl_h=48.0,
        cluster_ttl_h=720.0,
        cluster_min_people=10_000,
        cluster_min_days=90,
        individual_min_people=10_000,
        individual_min_days=90,
        require_gain=True,
    )
    assert type(hero).model_fields["interest_share"].default == DEFAULT_INTEREST_SHARE


def test_a_catalogues_interests_are_values_of_its_columns(tmp_path: Path) -> None:
    variants = load(tmp_path, PICK).touchpoints["pick"].expanded_variants
    assert [each.interests for each in variants] == [
        ("coats", "clothes"),
        ("shoes", "red", "clothes"),
        ("red", "clothes"),
    ]
    assert {(each.floor, each.cap, each.min_impressions) for each in variants} == {(0.1, 0.5, 20)}


MISTAKES = [
    ("cap = 0.4", "cap = 0", "variants[1].cap: 0 is not more than 0; write more than 0, such as cap = 0.5"),
    ("cap = 0.4", "cap = 1.5", "variants[1].cap: 1.5 is more than 1; write at most 1, such as cap = 0.5"),
    (
        "cap = 0.4",
        "cap = 0.4\nfloor = 0.5",
        "variants[1].cap: 0.4 is below the floor 0.5; raise the cap, or lower the floor to 0.4",
    ),
    (
        "min_impressions = 500",
        "min_impressions = 1.5",
        "variants[1].min_impressions: 1.5 is not a whole number; write a whole number without quotes, such as "
        "min_impressions = 500",
    ),
    (
        'because = "you like coats"',
        'because = ""',
        'variants[1].because: is empty; write a text, such as because = "you have read two of our case studies"',
    ),
    (
        '"session.referral=search" = { mean',
        '"session.referral" = { mean',
        'variants[1].shifts."session.referral": "session.referral" is a text, which counts as 0; write it as in '
        '"session.referral=search"',
    ),
    (
        "mean = 0.4, ",
        "",
        'variants[1].shifts."session.referral=search".mean: is missing; add it, such as mean = 0.4',
    ),
    (
        "mean = 0.4, ",
        "mean = 0.4, std = 1, ",
        'variants[1].shifts."session.referral=search".std: is not a known key; write sd',
    ),
    (
        'html = "<p>house</p>"\n',
        "",
        "variants[0].html: is missing, and where several are shown at once, each needs its own; write html = "
        '"<p>…</p>"',
    ),
    ("slots = 3", "slots = 4", "slots: 4 are more than the 3 variants; write at most 3"),
    ("[3, 1]", "[3, 0]", "interest_slots: 0 is no position of a list of 3; write numbers from 1 to 3"),
    ("[3, 1]", "[4]", "interest_slots: 4 is no position of a list of 3; write numbers from 1 to 3"),
    ("[3, 1]", "[3, 3]", "interest_slots: names 3 twice; remove one of them"),
    (
        'finest = "cluster"',
        'finest = "person"',
        'levels.finest: "person" is not known; write "individual", "cluster", "segment" or "global", such as finest = '
        '"individual"',
    ),
    (
        "cluster_min_people",
        "cluster_people",
        "levels.cluster_people: is not a known key; write cluster_min_people",
    ),
    (
        "evaluation_days = 7",
        "evaluation_days = 0",
        "learning.evaluation_days: 0 is less than 1; write at least 1, such as evaluation_days = 14",
    ),
]


@pytest.mark.parametrize(("old", "new", "problem"), MISTAKES)
def test_a_mistake_is_named_with_its_place_and_remedy(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in TEXT
    assert problems_of(tmp_path, TEXT.replace(old, new, 1)) == [f"touchpoints.hero.{problem}"]


def test_caps_that_leave_something_over_are_refused_with_the_arithmetic(tmp_path: Path) -> None:
    text = TEXT.replace("floor = 0.1", "cap = 0.2").replace('interests = ["shoes"]', 'interests = ["shoes"]\ncap = 0.3')
    assert problems_of(tmp_path, text) == [
        "touchpoints.hero.variants: the caps are 0.2 + 0.4 + 0.3 = 0.9, less than 1; raise them until they sum to 1"
    ]
    assert problems_of(tmp_path, PICK.replace("cap = 0.5", "cap = 0.3")) == [
        "touchpoints.pick.catalogue.cap: the caps are 3 × 0.3 = 0.9, less than 1; write at least 0.34"
    ]
    assert problems_of(tmp_path, PICK.replace("cap = 0.5", "cap = 0.05")) == [
        "touchpoints.pick.catalogue.cap: 0.05 is below the floor 0.1; raise the cap, or lower the floor to 0.05",
        "touchpoints.pick.catalogue.cap: the caps are 3 × 0.05 = 0.15, less than 1; write at least 0.34",
    ]


def test_targeted_variants_may_exclude_each_other_and_one_of_them_may_not_be_too_much(tmp_path: Path) -> None:
    phones = 'html = "<b>coats</b>"\nfloor = 0.4\ncondition = { device = "mobile" }'
    desks = 'html = "<b>shoes</b>"\nfloor = 0.4\ncondition = { device = "desktop" }'
    text = TEXT.replace('html = "<b>coats</b>"', phones).replace('html = "<b>shoes</b>"', desks)
    text = text.replace("floor = 0.1", "floor = 0.3").replace("interest_share = 0.25", "interest_share = 0")
    assert load(tmp_path, text).touchpoints["hero"].slots == 3
    assert problems_of(tmp_path, text.replace("floor = 0.3", "floor = 0.7")) == [
        "touchpoints.hero.variants: the floors are 0.7 + 0.4 = 1.1, more than 1; lower them until they sum to 1 or less"
    ]


def test_an_interest_share_beyond_every_visitors_reach_is_refused(tmp_path: Path) -> None:
    text = TEXT.replace('interests = ["shoes"]', 'interests = ["shoes"]\ncap = 0.1').replace("0.25", "0.6")
    [problem] = problems_of(tmp_path, text)
    assert problem.startswith("touchpoints.hero.interest_share: interest share 0.6 of hero is out of every visitor's ")
    assert "0.5 = 0.4 + 0.1" in problem
    assert problem.endswith("; lower the share, or change those")
    [problem] = problems_of(tmp_path, TEXT.replace("floor = 0.1", "floor = 0.8"))
    assert problem.startswith("touchpoints.hero.interest_share: interest share 0.25 of hero is out of every visitor's ")


def test_an_interest_share_that_only_some_visitors_cannot_have_is_fine(tmp_path: Path) -> None:
    text = TEXT.replace('interests = ["shoes"]', 'interests = ["shoes"]\ncap = 0.1')
    assert load(tmp_path, text).touchpoints["hero"].interest_share == 0.25


def test_what_takes_no_effect_is_refused(tmp_path: Path) -> None:
    nowhere = (
        "takes no effect: the site does not say where a visitor's primary interest is; write interest = "
        '"session.preferences.topic" in [site], or remove it'
    )
    untagged = "takes no effect: no variant names its interests; write them, or remove it"
    without = TEXT.replace('interest = "session.preferences.topic"\n', "")
    for text, said in (
        (without, nowhere),
        (TEXT.replace('interests = ["coats", "tailoring"]\n', "").replace('interests = ["shoes"]\n', ""), untagged),
    ):
        assert problems_of(tmp_path, text) == [
            f"touchpoints.hero.interest_slots: {said}",
            f"touchpoints.hero.interest_share: {said}",
        ]
    quiet = without.replace("interest_share = 0.25\n", "").replace("interest_slots = [3, 1]\n", "")
    assert load(tmp_path, quiet).touchpoints["hero"].interest_share == DEFAULT_INTEREST_SHARE


def test_a_placeholder_that_is_no_column_is_named(tmp_path: Path) -> None:
    assert problems_of(tmp_path, PICK.replace("{kind}", "{kin}")) == [
        "touchpoints.pick.catalogue.interests: {kin} is no column of the catalogue; write {kind}, or {{kin}} for that "
        "very text"
    ]


def test_too_many_features_are_refused(tmp_path: Path) -> None:
    many = "\n".join(f'"profile.x{i}" = {{ mean = 1, sd = 1 }}' for i in range(50))
    text = TEXT.replace('"session.referral=search" = {', f'{many}\n"session.referral=search" = {{')
    assert problems_of(tmp_path, text) == [
        "touchpoints.hero.variants: their shifts name 51 features together; keep the 50 that matter most",
        "touchpoints.hero.variants[1].shifts: names 51 features; keep the 50 that matter most",
    ]


def test_more_variants_than_the_log_of_a_decision_holds_are_refused_with_the_arithmetic(tmp_path: Path) -> None:
    rows = "id,kind,colour\n" + "".join(f"{i},coats,red\n" for i in range(1, 8_001))
    text = PICK.replace("floor = 0.1\n", "")
    path = write_config(tmp_path, text)
    (tmp_path / "items.csv").write_text(rows)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    [problem] = caught.value.problems
    said = re.fullmatch(
        r"usher\.toml: touchpoints\.pick\.catalogue: a decision among 8,000 variants takes ([\d,]+) bytes in the log, "
        r"and a queue message has room for 110,000; keep about ([\d,]+), or shorten their names",
        problem,
    )
    assert said is not None, problem
    assert int(said[1].replace(",", "")) > MOST_LOGGED_BYTES
    most = int(said[2].replace(",", ""))
    (tmp_path / "items.csv").write_text("\n".join(rows.split("\n")[: most + 1]))
    assert len(load_config(path).touchpoints["pick"].expanded_variants) == most
