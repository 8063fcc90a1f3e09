"""One touchpoint: its record, and the cells of its posteriors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidSnapshot
from shared.parse import Reader
from shared.posterior import LARGEST, LEVELS, Posterior, Shift, read_posterior
from shared.records.markup import Markup, read_markup
from shared.records.parts import LATEST_MS, MOST_FEATURES, compile_features, read_one_of, read_texts, read_whole
from shared.records.variants import Variant, read_variants

EPOCHS: Final = ("session", "day", "week", "snapshot", "forever")
HOUR_MS: Final = 3_600_000
INDIVIDUAL_TTL_MS: Final = 48 * HOUR_MS
CLUSTER_TTL_MS: Final = 30 * 24 * HOUR_MS
MOST_SLOTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Touchpoint:
    """A place that is personalised.

    Its variants in published order, their HTML (`markup`), and the index of the default; how long a decision lasts
    (`epoch`); the URL path patterns it occurs on and the goal that rewards it; the finest level it may use, the model
    versions whose individual scores it accepts, and how old a profile may be for either use; the least share for
    variants of other interests than the visitor's primary one; how many variants are shown at once (`slots`), and which
    of those positions are kept for other interests; how the session shifts its posteriors. What follows from the
    variants is kept beside them, so that a request does not work it out again: their `names`, `everyone` (all indices),
    `floors`, `caps`, `tags` (all interests that they name) and `suffixes` (their part of what is hashed), whether any
    has a condition (`is_targeted`) or interests (`is_tagged`), and whether the session neither shifts it nor bears on
    its interests (`is_plain`).
    """

    name: str
    variants: tuple[Variant, ...]
    markup: Markup
    default: int
    epoch: str
    pages: tuple[str, ...]
    goal: str
    finest: int
    models: tuple[str, ...]
    individual_ttl_ms: int
    cluster_ttl_ms: int
    interest_share: float
    slots: int
    interest_slots: tuple[int, ...]
    shift: Shift | None
    names: tuple[str, ...]
    everyone: tuple[int, ...]
    floors: tuple[float, ...]
    caps: tuple[float, ...]
    tags: frozenset[str]
    suffixes: tuple[bytes, ...]
    is_targeted: bool
    is_tagged: bool
    is_plain: bool

    def index_of(self, variant: str) -> int | None:
        """The index of the variant of that name, or None."""
        try:
            return self.names.index(variant)
        except ValueError:
            return None

    def names_beside(self, eligible: tuple[int, ...]) -> tuple[str, ...]:
        """The names of the variants that are not among these indices: what targeting has removed."""
        if len(eligible) == len(self.names):
            return ()
        return tuple([name for i, name in enumerate(self.names) if i not in eligible])

    def allows(self, level: str) -> bool:
        """Whether the touchpoint may use posteriors of that level."""
        return LEVELS.index(level) >= self.finest


def read_touchpoint(name: str, data: object, htmls: Sequence[str] | None) -> Touchpoint:
    """Read the record of one touchpoint; `htmls` are the HTML of its variants, a JSON text each, or None where an older
    origin has written variants and HTML one by one into the record. Raises InvalidSnapshot."""
    reader = Reader(data, f"touchpoint:{name}", InvalidSnapshot)
    variants = read_variants(reader, are_rows=htmls is None)
    names = tuple([variant.name for variant in variants])
    if not variants:
        raise InvalidSnapshot(reader.place("variants"), "is empty")
    if len(set(names)) != len(variants):
        raise InvalidSnapshot(reader.place("variants"), "two variants have the same name")
    tags = frozenset([tag for variant in variants for tag in variant.interests])
    shift = _read_shift(reader, len(variants))
    slots = read_whole(reader, "slots", low=1, high=MOST_SLOTS, default=1)
    return Touchpoint(
        name=name,
        variants=variants,
        markup=read_markup(reader, htmls, len(variants)),
        default=reader.whole("default", low=0, high=len(variants) - 1),
        epoch=read_one_of(reader, "epoch", EPOCHS),
        pages=reader.texts("pages"),
        goal=reader.text("goal", longest=200),
        finest=LEVELS.index(read_one_of(reader, "finest", LEVELS, default="segment")),
        models=read_texts(reader, "models"),
        individual_ttl_ms=read_whole(reader, "individual_ttl_ms", low=0, high=LATEST_MS, default=INDIVIDUAL_TTL_MS),
        cluster_ttl_ms=read_whole(reader, "cluster_ttl_ms", low=0, high=LATEST_MS, default=CLUSTER_TTL_MS),
        interest_share=reader.number("interest_share", low=0.0, high=1.0) if "interest_share" in reader.data else 0.0,
        slots=slots,
        interest_slots=_read_positions(reader, slots),
        shift=shift,
        names=names,
        everyone=tuple(range(len(variants))),
        floors=tuple([variant.floor for variant in variants]),
        caps=tuple([variant.cap for variant in variants]),
        tags=tags,
        suffixes=tuple(map(str.encode, names)),  # a name holds no half of a surrogate pair
        is_targeted=not {variant.condition for variant in variants} <= {None},
        is_tagged=bool(tags),
        is_plain=shift is None and not tags,
    )


def _read_positions(reader: Reader, slots: int) -> tuple[int, ...]:
    if reader.data.get("interest_slots") is None:
        return ()
    positions = reader.numbers("interest_slots", length=len(reader.items("interest_slots")), low=0, high=slots - 1)
    whole = tuple(int(position) for position in positions)
    if list(whole) != sorted(set(positions)):
        raise reader.fail("interest_slots", "increasing whole positions")
    return whole


def _read_shift(parent: Reader, count: int) -> Shift | None:
    if parent.data.get("shift") is None:
        return None
    reader = Reader(parent.mapping("shift"), parent.place("shift"), InvalidSnapshot)
    names = reader.texts("features")
    if len(names) > MOST_FEATURES:
        raise InvalidSnapshot(reader.place("features"), f"{len(names)}; at most {MOST_FEATURES} are allowed")
    weights = _rows(reader, "weights", count, len(names))
    covariances = reader.items("covariances")
    if len(covariances) != count:
        raise InvalidSnapshot(reader.place("covariances"), f"expected one a variant ({count}), got {len(covariances)}")
    size = len(names)
    matrices = []
    for i in range(count):
        row_reader = Reader({"matrix": covariances[i]}, f"{reader.place('covariances')}[{i}]", InvalidSnapshot)
        matrix = _rows(row_reader, "matrix", size, size)
        if not _is_covariance(matrix):
            raise InvalidSnapshot(row_reader.path, "is not symmetric and positive semidefinite")
        matrices.append(matrix)
    features = compile_features(names, reader.place("features"))
    return Shift(names=names, features=features, weights=weights, covariances=tuple(matrices))


def _rows(reader: Reader, key: str, rows: int, columns: int) -> tuple[tuple[float, ...], ...]:
    values = reader.items(key)
    if len(values) != rows:
        raise InvalidSnapshot(reader.place(key), f"expected {rows} rows, got {len(values)}")
    row_reader = Reader({f"{key}[{i}]": row for i, row in enumerate(values)}, reader.path, InvalidSnapshot)
    return tuple(row_reader.numbers(f"{key}[{i}]", length=columns, low=-LARGEST, high=LARGEST) for i in range(rows))


def _is_covariance(matrix: tuple[tuple[float, ...], ...]) -> bool:
    """Whether a square matrix is symmetric and, within rounding, positive semidefinite: elimination leaves no negative
    pivot, and nothing beside a pivot of zero."""
    size = len(matrix)
    if any(matrix[i][j] != matrix[j][i] for i in range(size) for j in range(i)):
        return False
    rest = [list(row) for row in matrix]
    largest = max((abs(matrix[i][i]) for i in range(size)), default=0.0)
    slack = 1e-9 * largest
    for i in range(size):
        pivot = rest[i][i]
        if pivot < -slack:
            return False
        if pivot <= slack:
            if any(abs(rest[i][j]) > slack + 1e-4 * largest for j in range(i + 1, size)):
                return False
            continue
        for j in range(i + 1, size):
            factor = rest[j][i] / pivot
            for k in range(i, size):
                rest[j][k] -= factor * rest[i][k]
    return True


def read_cell(level: str, name: str, count: int, data: object, place: str) -> Posterior:
    """Read the posteriors of a touchpoint's `count` variants at a level. Raises InvalidSnapshot."""
    return read_posterior(Reader(data, place, InvalidSnapshot), level, name, count, has_probabilities=True)
