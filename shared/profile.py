"""A profile: what the batch side knows of a person, as published to KV under `profile:<unit>`.

Its text form parses as little as a page needs: the first line is a JSON header, each further line one touchpoint's
scores under one model version (`hero`, tab, `m1-0c2e`, tab, JSON). A model version names the list of variants that the
scores are for, and a snapshot says which versions it accepts. With the scores go the Thompson probabilities among all
variants, which the origin has time to integrate; where they are missing, or not all variants are eligible, the edge
integrates.

The profile of a person with several devices stands under the unit of each and says so. Along with it go the draws that
were made for the person and may still last, so that every device shows what the first one drew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidProfile
from shared.parse import Reader, load_json
from shared.policy import live_probabilities
from shared.posterior import LEVELS, Posterior, read_posterior

FORMAT: Final = 1
PROFILE_KEY: Final = "profile:"


@dataclass(slots=True)
class Draw:
    """What was drawn for a person in an epoch that may still last: the variant, or those of all positions of a slate,
    with their propensities; the names of the variants that targeting had removed; level, cell and snapshot that it
    rests on; and whether it was a fresh draw. Nobody changes it; frozen it would be slow to make."""

    touchpoint: str
    epoch: str
    excluded: tuple[str, ...]
    variants: tuple[str, ...]
    propensities: tuple[float, ...]
    level: str
    cell: str
    snapshot: str
    randomised: bool
    is_slate: bool


@dataclass(slots=True)
class ProfileHeader:
    """Whose profile it is, its version and age, the person's cluster (empty: none), and attributes for conditions;
    whether the person has several devices, and the draws that these are to repeat. Nobody changes it; frozen it would
    be slow to make."""

    unit: str
    version: str
    computed_ms: int
    cluster: str
    attributes: Mapping[str, object]
    several_devices: bool = False
    draws: tuple[Draw, ...] = ()


class Profile:
    """A published profile. Raises InvalidProfile from `from_text` for a damaged header or outline, and from `scores`
    where those are damaged."""

    __slots__ = ("_lines", "header")

    def __init__(self, header: ProfileHeader, lines: str) -> None:
        self.header = header
        self._lines = lines

    @classmethod
    def from_text(cls, text: str) -> Profile:
        """Read a profile from its text form; only the header is parsed."""
        end = text.find("\n")
        first, lines = (text, "\n") if end < 0 else (text[:end], text[end:])
        if lines[-1] != "\n":
            lines += "\n"
        # A page needs few of the lines: they are counted here, and found when they are asked for.
        if lines.count("\t") != 2 * (lines.count("\n") - 1):
            _check_lines(lines)
        return cls(_read_header(_load(first, "header")), lines)

    def scores(self, touchpoint: str, models: tuple[str, ...], count: int) -> Posterior | None:
        """The person's posteriors of a touchpoint's `count` variants by the first of the models that it holds."""
        lines = self._lines
        for model in models:
            key = f"\n{touchpoint}\t{model}\t"
            start = lines.find(key)
            if start >= 0:
                start += len(key)
                place = f"{touchpoint}.{model}"
                return _read_scores(_load(lines[start : lines.find("\n", start)], place), place, count)
        return None

    def knows(self, touchpoint: str) -> bool:
        """Whether the profile holds scores of a touchpoint, of any model."""
        return f"\n{touchpoint}\t" in self._lines


def write_profile(header: Mapping[str, object], scores: Mapping[tuple[str, str], Mapping[str, object]]) -> str:
    """Return the text form of a profile: its header and the scores (`means`, `sds`) by touchpoint and model version.

    The probabilities that a page would integrate from them go along: to the last bit the same. Raises InvalidProfile
    where a reader would.
    """
    lines = [_dump({"format": FORMAT, **header}, "header")]
    for (touchpoint, model), record in scores.items():
        place, means = f"{touchpoint}.{model}", record.get("means")
        read = _read_scores({**record, "probabilities": None}, place, len(means) if isinstance(means, list) else 0)
        probabilities = live_probabilities(read.means, read.sds)
        whole = {"means": read.means, "sds": read.sds, "probabilities": probabilities}
        lines.append(f"{touchpoint}\t{model}\t{_dump(whole, place)}")
    text = "\n".join(lines) + "\n"
    Profile.from_text(text)
    return text


def _dump(data: object, place: str) -> str:
    try:
        return json.dumps(data, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise InvalidProfile(place, f"cannot be written as JSON: {error}") from error


def _read_scores(data: object, place: str, count: int) -> Posterior:
    """The posteriors of a record, with the probabilities that they imply where it holds them."""
    reader = Reader(data, place, InvalidProfile)
    has_probabilities = reader.data.get("probabilities") is not None
    return read_posterior(reader, "individual", "", count, has_probabilities=has_probabilities)


def _check_lines(lines: str) -> None:
    """Refuse the first line that holds anything but a touchpoint, a model version and their scores."""
    for line in filter(None, lines.split("\n")):
        if line.count("\t") != 2:
            raise InvalidProfile("scores", f"a line without touchpoint and model: {line[:40]!r}")


def _load(text: str, place: str) -> object:
    try:
        return load_json(text)
    except ValueError as error:
        raise InvalidProfile(place, f"is not JSON ({error})") from error


def _read_header(data: object) -> ProfileHeader:
    reader = Reader(data, "header", InvalidProfile)
    if reader.data.get("format") != FORMAT or reader.data.get("format") is True:
        raise InvalidProfile("header.format", f"this version reads format {FORMAT}, got {reader.data.get('format')!r}")
    return ProfileHeader(
        unit=reader.text("unit", longest=200),
        version=reader.text("version", longest=200),
        computed_ms=reader.whole("computed_ms", low=0, high=1 << 53),
        cluster=reader.text("cluster", longest=200),
        attributes=reader.mapping("attributes"),
        several_devices=reader.flag("several_devices", default=False),
        draws=_read_draws(reader) if "draws" in reader.data else (),
    )


def _read_draws(header: Reader) -> tuple[Draw, ...]:
    return tuple([_read_draw(each, header.place(f"draws[{i}]")) for i, each in enumerate(header.items("draws"))])


def _read_draw(data: object, place: str) -> Draw:
    reader = Reader(data, place, InvalidProfile)
    variants = reader.texts("variants")
    if not variants:
        raise InvalidProfile(reader.place("variants"), "is empty")
    level = reader.text("level", longest=20)
    if level not in LEVELS:
        raise reader.fail("level", f"one of {', '.join(LEVELS)}")
    return Draw(
        touchpoint=reader.text("touchpoint", longest=200),
        epoch=reader.text("epoch", longest=200),
        excluded=reader.texts("excluded"),
        variants=variants,
        propensities=reader.numbers("propensities", length=len(variants), low=0.0, high=1.0),
        level=level,
        cell=reader.text("cell", longest=200),
        snapshot=reader.text("snapshot", longest=200),
        randomised=reader.flag("randomised", default=True),
        is_slate=reader.flag("is_slate", default=False),
    )
