"""What conditions, features and phrases may read of a visit, and every message when they read something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from origin.attributes import (
    SESSION_ATTRIBUTES,
    VALUES,
    category_paths,
    find_feature_problem,
    find_interest_problem,
    find_path_problem,
    question_paths,
)
from origin.config import load_config
from origin.errors import ConfigError
from shared.session import Session
from tests.origin.shop import USHER_TOML, write_config

KNOWN = ("path", "device", "language", "referrer", "tier", *question_paths(["topic"]))
OF_PROFILES = '"profile.decisions", "profile.rewards" or "profile.days"'
LISTED = (
    '"session.views", "session.visits", "session.intent", "session.referral", "session.preferences", '
    '"session.away_days" or another of the 20'
)
WITH_CATEGORIES = [*KNOWN, *category_paths(["pricing", "case-study"])]


def test_the_sessions_attributes_are_those_of_the_core() -> None:
    """But for its start, which a replay needs and no condition."""
    attributes = Session(started_ms=0).to_attributes()
    earlier = attributes.pop("earlier")
    assert isinstance(earlier, dict)
    names = {*attributes, *(f"earlier.{name}" for name in earlier)} - {"started_ms"} | {"intent"}
    assert {f"session.{name}" for name in names} == set(SESSION_ATTRIBUTES)


@pytest.mark.parametrize(
    "path", ["device", "tier", *SESSION_ATTRIBUTES, "session.preferences.topic", "profile.decisions", "profile.a.b"]
)
def test_what_there_is_may_be_read(path: str) -> None:
    assert find_path_problem(path, KNOWN) is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("devise", 'reads "devise", which is no attribute; write "device", or add [attributes.devise]'),
        ("session.view", 'reads "session.view", which is no attribute; write "session.views"'),
        ("session", 'reads "session", which is no attribute; write ' + LISTED),
        ("session.views.x", 'reads "session.views.x", which is no attribute; write "session.views"'),
        (
            "session.preferences.topics",
            'reads "session.preferences.topics", and there is no such question; write "session.preferences.topic", or '
            "add [questions.topics] with its answers",
        ),
        (
            "session.preferences.topic.x",
            'reads "session.preferences.topic.x", which is no attribute; write "session.preferences"',
        ),
        (
            "session.preferences..x",
            'reads "session.preferences..x", which is no attribute; write "session.preferences"',
        ),
        ("profile", f'reads "profile", which is no attribute; write {OF_PROFILES}'),
        ("profile.", f'reads "profile.", which is no attribute; write {OF_PROFILES}'),
        ("profile.income", 'reads "profile.income", which is on the sensitive list; decide without it'),
        ("health", 'reads "health", which is on the sensitive list; decide without it'),
        (
            "session.preferences.religion",
            'reads "session.preferences.religion", which is on the sensitive list; decide without it',
        ),
    ],
)
def test_what_there_is_not_is_named_with_what_there_is(path: str, problem: str) -> None:
    assert find_path_problem(path, KNOWN) == problem


@pytest.mark.parametrize(
    "name",
    [
        *("session.views", "session.intent", "session.referral=search", "session.preferences.topic=coats"),
        *("profile.days", "profile.favourite=hero", "device=mobile", "tier=gold", "language=de"),
    ],
)
def test_features_are_numbers_or_attributes_with_a_value(name: str) -> None:
    assert find_feature_problem(name, KNOWN, is_counted=True) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "session.referral",
            '"session.referral" is a text, which counts as 0; write it as in "session.referral=search"',
        ),
        ("device", '"device" is a text, which counts as 0; write it as in "device=tablet"'),
        ("tier", '"tier" is a text, which counts as 0; write it as in "tier=value"'),
        ("tier=", '"tier=" names no value; write it as in "tier=value"'),
        (
            "session.preferences",
            '"session.preferences" names no value; write it as in "session.preferences.topic=coats"',
        ),
        ("session.referral=serch", '"session.referral" is never "serch"; write "search" after ='),
        ("device=watch", '"device" is never "watch"; write "mobile", "tablet" or "desktop" after ='),
        (
            "session.views=3",
            '"session.views" is a number, and what stands after = is compared with texts; write "session.views"',
        ),
        ("profile.salary", 'reads "profile.salary", which is on the sensitive list; decide without it'),
        (
            "session.preferences.topic=Pregnancy",
            'compares with "Pregnancy", which is on the sensitive list; decide without it',
        ),
        ("session.top_category=health", 'compares with "health", which is on the sensitive list; decide without it'),
        ("profile.credit=score", 'compares with "score", which is on the sensitive list; decide without it'),
        (
            "nothing=1",
            'reads "nothing", which is no attribute; write "path", "device", "language", "referrer", "tier", "session" '
            "or another of the 7, or add [attributes.nothing]",
        ),
    ],
)
def test_features_that_would_always_be_0_are_refused(name: str, problem: str) -> None:
    assert find_feature_problem(name, KNOWN, is_counted=True) == problem


@pytest.mark.parametrize(
    "name",
    [
        *("session.categories.pricing", "session.read.case-study", "session.interests.pricing"),
        *("session.earlier.categories.case-study", "session.earlier.read.pricing"),
        *("session.recent_categories=pricing", "session.bigrams=pricing>case-study", "session.top_category=pricing"),
        *("session.away_days", "session.earlier.views", "session.engaged_s", "session.depth", "session.pages_read"),
    ],
)
def test_what_the_session_counts_by_category_may_be_read(name: str) -> None:
    assert find_feature_problem(name, WITH_CATEGORIES, is_counted=True) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "session.categories.pricng",
            'reads "session.categories.pricng", and there is no such category; write "session.categories.pricing", or '
            "add [categories.pricng]",
        ),
        (
            "session.earlier.read.x",
            'reads "session.earlier.read.x", and there is no such category; write '
            '"session.earlier.read.pricing", or add [categories.x]',
        ),
        ("session.read", '"session.read" names no category; write it as in "session.read.pricing"'),
        (
            "session.read.pricing=2",
            '"session.read.pricing" is a number, and what stands after = is compared with texts; write '
            '"session.read.pricing"',
        ),
        (
            "session.depth=90",
            '"session.depth" is a number, and what stands after = is compared with texts; write "session.depth"',
        ),
        (
            "session.recent_categories",
            '"session.recent_categories" is a text, which counts as 0; write it as in '
            '"session.recent_categories=pricing"',
        ),
        (
            "session.top_category=pricng",
            '"pricng" is no category of this file; write "pricing", or add [categories.pricng]',
        ),
        (
            "session.bigrams",
            '"session.bigrams" is a text, which counts as 0; write it as in "session.bigrams=pricing>case-study"',
        ),
        (
            "session.bigrams=pricing",
            '"pricing" is no pair of categories; write it as in "session.bigrams=pricing>case-study"',
        ),
        (
            "session.bigrams=pricing>blog",
            '"blog" is no category of this file; write "pricing" or "case-study", or add [categories.blog]',
        ),
    ],
)
def test_categories_that_there_are_not_are_named_with_those_there_are(name: str, problem: str) -> None:
    assert find_feature_problem(name, WITH_CATEGORIES, is_counted=True) == problem


def test_without_categories_one_is_to_be_added() -> None:
    assert find_path_problem("session.read.case-study", KNOWN) == (
        'reads "session.read.case-study", and there is no such category; add [categories.case-study]'
    )
    assert find_feature_problem("session.top_category=blog", KNOWN, is_counted=True) == (
        '"blog" is no category of this file; add [categories.blog]'
    )
    assert find_feature_problem("session.read", KNOWN, is_counted=True) == (
        '"session.read" names no category; write it as in "session.read.pricing"'
    )


def test_where_nothing_is_asked_nothing_declared_can_be_read() -> None:
    problem = 'reads "session.preferences.topic", and there is no such question; add [questions.topic] with its answers'
    assert find_path_problem("session.preferences.topic", ["path"]) == problem
    assert find_interest_problem("session.preferences.topic", ["path"]) == problem


def test_categories_are_no_attributes_of_the_request() -> None:
    assert find_path_problem("pricing", WITH_CATEGORIES) == find_path_problem("pricing", KNOWN)


def test_a_phrase_may_be_about_a_text() -> None:
    assert find_feature_problem("session.referral", KNOWN, is_counted=False) is None
    assert VALUES["session.referral"]


def test_the_primary_interest_is_a_text() -> None:
    assert find_interest_problem("session.preferences.topic", KNOWN) is None
    assert find_interest_problem("profile.interest", KNOWN) is None
    assert find_interest_problem("tier", KNOWN) is None
    assert find_interest_problem("session.top_category", KNOWN) is None
    for path in ("session.views", "session.preferences", "session.bigrams", "session.read", "session.read.pricing"):
        assert find_interest_problem(path, WITH_CATEGORIES) == (
            f'"{path}" is no text; write the path of one, such as "session.preferences.topic"'
        )
    assert find_interest_problem("session.topic", KNOWN) is not None


BASE = (
    USHER_TOML
    + """
[questions.topic]
answers = ["coats"]
[intent]
bias = -2.0
weights = { "session.views" = 0.2, "session.referral=search" = 0.3 }
[phrases]
"session.views" = "you looked at {value} pages"
"""
)
MISTAKES = [
    (
        '[site]\nid = "shop"',
        '[site]\nid = "shop"\ninterest = "session.topic"',
        f'site.interest: reads "session.topic", which is no attribute; write {LISTED}',
    ),
    (
        "[goals.click]",
        '[attributes.household_income]\nquery = "a"\n[goals.click]',
        "attributes.household_income: is on the sensitive list; decide without it, and remove it",
    ),
    (
        "[goals.click]",
        '[attributes.band]\nquery = "income"\n[goals.click]',
        'attributes.band.query: "income" is on the sensitive list; decide without it, and remove the attribute',
    ),
    (
        "[goals.click]",
        '[attributes."a.b"]\nquery = "a"\n[goals.click]',
        'attributes."a.b": holds a dot, which in conditions parts a path into its steps; write "a_b"',
    ),
    (
        'condition = { device = "mobile" }',
        'condition = { "session.referal" = "search" }',
        'segments.mobile.condition: reads "session.referal", which is no attribute; write "session.referral"',
    ),
    (
        'condition = { device = "mobile" }',
        'condition = { "$or" = [{ "profile.health" = "good" }] }',
        'segments.mobile.condition: reads "profile.health", which is on the sensitive list; decide without it',
    ),
    (
        "bias = -2.0",
        "bias = -200",
        "intent.bias: -200 is less than -20; write at least -20, such as bias = -2.0",
    ),
    ("bias = -2.0", "bais = -2.0", "intent.bais: is not a known key; write bias"),
    (
        '"session.views" = 0.2',
        '"session.views" = "0.2"',
        'intent.weights."session.views": "0.2" is not a number; write a number without quotes',
    ),
    (
        '"session.views" = 0.2',
        '"session.intent" = 0.2',
        'intent.weights."session.intent": is the score itself; remove it here',
    ),
    (
        '"session.views" = 0.2',
        '"session.referral" = 0.2',
        'intent.weights."session.referral": "session.referral" is a text, which counts as 0; write it as in '
        '"session.referral=search"',
    ),
    (
        '"session.views" = "you',
        '"session.view" = "you',
        'phrases."session.view": reads "session.view", which is no attribute; write "session.views"',
    ),
    (
        '"session.views" = "you looked at {value} pages"',
        '"session.preferences.topic=pregnancy" = "you are interested in {value}"',
        'phrases."session.preferences.topic=pregnancy": compares with "pregnancy", which is on the sensitive list; '
        "decide without it",
    ),
    (
        "{value} pages",
        "{values} pages",
        'phrases."session.views": "you looked at {values} pages" holds braces, and only {value} is filled in; remove '
        "the others",
    ),
    ('"you looked at {value} pages"', '""', 'phrases."session.views": is empty; write a text'),
]


@pytest.mark.parametrize(("old", "new", "problem"), MISTAKES)
def test_a_mistake_is_named_with_its_place_and_remedy(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in BASE
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(tmp_path, BASE.replace(old, new, 1)))
    assert caught.value.problems == (f"usher.toml: {problem}",)


def test_a_condition_on_the_score_needs_the_score(tmp_path: Path) -> None:
    text = USHER_TOML.replace(
        '{ name = "craft",', '{ name = "craft", condition = { "session.intent" = { "$gt" = 0.5 } },'
    )
    text = text.replace('{ device = "desktop" }', '{ "$not" = { "session.intent" = { "$gt" = 0.9 } } }')
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(tmp_path, text))
    said = (
        'reads "session.intent", and there is no score; add [intent] with weights, such as weights = { "session.views" '
        "= 0.2 }"
    )
    assert caught.value.problems == (
        f"usher.toml: segments.desktop.condition: {said}",
        f"usher.toml: touchpoints.hero.variants[1].condition: {said}",
    )
    config = load_config(write_config(tmp_path, text + '[intent]\nweights = { "session.views" = 0.2 }\n'))
    assert config.intent is not None and config.intent.bias == 0.0


def test_what_a_visit_is_read_for_is_kept_as_it_is_written(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, BASE.replace("[goals", 'interest = "profile.topic"\n[goals', 1)))
    assert config.site.interest == "profile.topic"
    assert config.intent is not None
    assert (config.intent.bias, config.intent.weights) == (-2.0, {"session.views": 0.2, "session.referral=search": 0.3})
    assert config.phrases == {"session.views": "you looked at {value} pages"}
