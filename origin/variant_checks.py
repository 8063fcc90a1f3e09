"""What must hold among the variants of a touchpoint: names, the default, and shares that some traffic can satisfy."""

from __future__ import annotations

import gzip
import json
import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from origin.catalogue import Expansion
from origin.condition_checks import MOST_VARIANT_TESTS, find_laborious
from origin.problems import Place, Problem, show, show_place, suggest
from shared.constraints import refuse_unsatisfiable
from shared.errors import Unsatisfiable

_SLACK: Final = 1e-12  # what rounding may add, as in shared.constraints
DEFAULT_INTEREST_SHARE: Final = 0.2
# A decision is logged with its whole probability vector, compressed where that is long, in one message of the edge's
# queue: 120,000 bytes, of which the rest of the decision takes the remainder.
MOST_LOGGED_BYTES: Final = 110_000
# Of fewer variants nobody needs to ask.
_FEW: Final = 500


def find_variant_problems(place: Place, touchpoint: Mapping[str, object], *, has_interest: bool) -> Iterator[Problem]:
    """Yield what is wrong with the `variants` of a touchpoint taken together.

    `has_interest` says that the site knows a visitor's primary interest.
    """
    listed = touchpoint.get("variants", [])
    if not isinstance(listed, list):
        return
    if not listed:
        remedy = f"add [[{show_place((*place, 'variants'))}]] or [{show_place((*place, 'catalogue'))}]"
        yield Problem(place, f"has no variants; {remedy}")
        return
    variants = [(i, variant) for i, variant in enumerate(listed) if isinstance(variant, Mapping)]
    first: dict[str, int] = {}
    for i, variant in variants:
        name = variant.get("name")
        if isinstance(name, str) and first.setdefault(name, i) != i:
            text = f"{show(name)} is already the name of variants[{first[name]}]; give every variant a name of its own"
            yield Problem((*place, "variants", i, "name"), text)
        yield from _find_bound_problems((*place, "variants", i), variant)
    default = touchpoint.get("default")
    yield from _find_default_problems(place, default, list(first))
    yield from _find_bare_problems(place, variants, default, is_slate=_has_slate(touchpoint))
    tags = [tuple(_texts(variant.get("interests"))) for _, variant in variants]
    yield from _find_interest_problems(place, touchpoint, tags, has_interest=has_interest)
    yield from _find_slot_problems(place, touchpoint, len(listed))
    yield from _find_size_problems((*place, "variants"), list(first))
    bounds = [(_share_or(variant.get("floor"), 0.0), _share_or(variant.get("cap"), 1.0)) for _, variant in variants]
    targeted = ["condition" in variant for _, variant in variants]
    conditions = [variant["condition"] for _, variant in variants if "condition" in variant]
    yield from find_laborious((*place, "variants"), "its variants", conditions, MOST_VARIANT_TESTS)
    sums = list(_find_sum_problems((*place, "variants"), bounds, targeted))
    yield from sums
    if not sums and all(floor <= cap for floor, cap in bounds):
        names = [str(variant.get("name", f"variants[{i}]")) for i, variant in variants]
        share = touchpoint.get("interest_share", DEFAULT_INTEREST_SHARE) if has_interest else 0.0
        yield from _find_contradictions(place, names, bounds, tags, targeted, share)


def find_catalogue_problems(
    place: Place, touchpoint: Mapping[str, object], expansion: Expansion, *, has_interest: bool
) -> Iterator[Problem]:
    """Yield what is wrong with the `catalogue` of a touchpoint, of which `expansion` was made."""
    section = touchpoint["catalogue"]
    if "variants" in touchpoint:
        yield Problem(place, "has both variants and a catalogue; keep one of them")
    yield from (Problem((*place, "catalogue", key), text) for key, text in expansion.problems)
    if not isinstance(section, Mapping) or not expansion.names:
        return
    yield from _find_default_problems(place, touchpoint.get("default"), expansion.names)
    yield from _find_bound_problems((*place, "catalogue"), section)
    count, floor, cap = len(expansion.names), section.get("floor"), section.get("cap", 1.0)
    scale = 10 ** (len(str(count)) + 1)
    if _is_share(floor) and (total := _add_up([floor] * count)) > 1.0 + _SLACK:
        text = (
            f"the floors are {count} × {show(floor)} = {total:.6g}, more than 1; write at most {scale // count / scale}"
        )
        yield Problem((*place, "catalogue", "floor"), text)
    if _is_share(cap) and (total := _add_up([cap] * count)) < 1.0 - _SLACK:
        least = -(-scale // count) / scale
        text = f"the caps are {count} × {show(cap)} = {total:.6g}, less than 1; write at least {least}"
        yield Problem((*place, "catalogue", "cap"), text)
    yield from _find_interest_problems(place, touchpoint, expansion.interests, has_interest=has_interest)
    yield from _find_slot_problems(place, touchpoint, count)
    yield from _find_size_problems((*place, "catalogue"), expansion.names)
    bounds = [(_share_or(floor, 0.0), _share_or(cap, 1.0))] * count
    targeted = [False] * count
    is_coherent = _share_or(floor, 0.0) <= _share_or(cap, 1.0) and not list(_find_sum_problems(place, bounds, targeted))
    if is_coherent and len(expansion.interests) == count:
        share = touchpoint.get("interest_share", DEFAULT_INTEREST_SHARE) if has_interest else 0.0
        yield from _find_contradictions(place, expansion.names, bounds, expansion.interests, targeted, share)


def _find_default_problems(place: Place, default: object, names: Sequence[str]) -> Iterator[Problem]:
    if isinstance(default, str) and names and default not in names:
        text = f"{show(default)} is no variant of this touchpoint; write {suggest(default, names)}"
        yield Problem((*place, "default"), text)


def _find_size_problems(place: Place, names: Sequence[str]) -> Iterator[Problem]:
    """More variants than the log of a decision holds: measured on probabilities that compress as badly as real ones."""
    if len(names) <= _FEW:
        return
    vector = [math.sqrt(i) % 1.0 / len(names) for i in range(2, len(names) + 2)]
    logged = json.dumps([list(names), vector], separators=(",", ":"))
    size = len(b64encode(gzip.compress(logged.encode(), compresslevel=6)))
    if size > MOST_LOGGED_BYTES:
        most = int(0.97 * len(names) * MOST_LOGGED_BYTES / size) // 100 * 100
        text = (
            f"a decision among {len(names):,} variants takes {size:,} bytes in the log, and a queue message has room "
            f"for {MOST_LOGGED_BYTES:,}; keep about {most:,}, or shorten their names"
        )
        yield Problem(place, text)


def _find_sum_problems(
    place: Place, bounds: Sequence[tuple[float, float]], targeted: Sequence[bool]
) -> Iterator[Problem]:
    """Floors and caps that no visit could satisfy. Targeted variants may exclude each other: one counts at a time."""
    largest = max((i for i, each in enumerate(targeted) if each), key=lambda i: bounds[i][0], default=None)
    floors = [floor for i, (floor, _) in enumerate(bounds) if not targeted[i] or i == largest]
    caps = [cap for _, cap in bounds]
    if (total := _add_up(floors)) > 1.0 + _SLACK:
        arithmetic = " + ".join(show(floor) for floor in floors if floor)
        text = f"the floors are {arithmetic} = {total:.6g}, more than 1; lower them until they sum to 1 or less"
        yield Problem(place, text)
    if caps and (total := _add_up(caps)) < 1.0 - _SLACK:
        text = f"the caps are {' + '.join(map(show, caps))} = {total:.6g}, less than 1; raise them until they sum to 1"
        yield Problem(place, text)


def _find_bound_problems(place: Place, table: Mapping[str, object]) -> Iterator[Problem]:
    floor, cap = table.get("floor"), table.get("cap")
    if _is_share(floor) and _is_share(cap) and cap < floor:
        text = f"{show(cap)} is below the floor {show(floor)}; raise the cap, or lower the floor to {show(cap)}"
        yield Problem((*place, "cap"), text)


def _find_interest_problems(
    place: Place, touchpoint: Mapping[str, object], tags: Sequence[tuple[str, ...]], *, has_interest: bool
) -> Iterator[Problem]:
    """Shares and slots for other interests that nothing would come of."""
    if has_interest and any(tags):
        return
    missing = (
        "the site does not say where a visitor's primary interest is; "
        'write interest = "session.preferences.topic" in [site], or remove it'
        if any(tags)
        else "no variant names its interests; write them, or remove it"
    )
    for key in ("interest_share", "interest_slots"):
        if touchpoint.get(key):
            yield Problem((*place, key), f"takes no effect: {missing}")


def _find_contradictions(
    place: Place,
    names: Sequence[str],
    bounds: Sequence[tuple[float, float]],
    tags: Sequence[tuple[str, ...]],
    targeted: Sequence[bool],
    share: object,
) -> Iterator[Problem]:
    """An interest share that no traffic could satisfy; single bounds and their sums are in order."""
    try:
        refuse_unsatisfiable(
            str(place[-1]),
            names,
            floors=[floor for floor, _ in bounds],
            caps=[cap for _, cap in bounds],
            interests=tags,
            share=share if _is_share(share) else 0.0,
            targeted=targeted,
        )
    except Unsatisfiable as error:
        yield Problem((*place, "interest_share"), f"{error}; lower the share, or change those")


def _find_bare_problems(
    place: Place, variants: Sequence[tuple[int, Mapping[str, object]]], default: object, *, is_slate: bool
) -> Iterator[Problem]:
    """Only the default may leave its HTML out, and where several are shown at once not even that."""
    bare = [i for i, variant in variants if "html" not in variant and (is_slate or variant.get("name") != default)]
    if not is_slate and default not in [variant.get("name") for _, variant in variants]:
        bare = bare[1:]  # one of them may be what a misspelt default means
    text = (
        "where several are shown at once, each needs its own" if is_slate else "only the default variant may go without"
    )
    for i in bare:
        yield Problem((*place, "variants", i, "html"), f'is missing, and {text}; write html = "<p>…</p>"')


def _has_slate(touchpoint: Mapping[str, object]) -> bool:
    slots = touchpoint.get("slots", 1)
    return isinstance(slots, int) and slots > 1


def _find_slot_problems(place: Place, touchpoint: Mapping[str, object], count: int) -> Iterator[Problem]:
    slots, kept = touchpoint.get("slots", 1), touchpoint.get("interest_slots", [])
    if isinstance(slots, bool) or not isinstance(slots, int):
        return
    if slots > count:
        yield Problem((*place, "slots"), f"{slots} are more than the {count} variants; write at most {count}")
    seen: set[int] = set()
    for position in kept if isinstance(kept, list) else ():
        if isinstance(position, bool) or not isinstance(position, int):
            continue
        if not 1 <= position <= slots:
            text = f"{position} is no position of a list of {slots}; write numbers from 1 to {slots}"
            yield Problem((*place, "interest_slots"), text)
        elif position in seen:
            yield Problem((*place, "interest_slots"), f"names {position} twice; remove one of them")
        seen.add(position)


def _is_share(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def _share_or(value: object, other: float) -> float:
    return value if _is_share(value) else other


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _add_up(shares: Iterable[float]) -> float:
    total = 0.0
    for share in shares:
        total += share
    return total
