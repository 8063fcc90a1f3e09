"""The records of a snapshot as types: its header, one touchpoint with its variants, one cell of posteriors.

What may be absent has a default here, so that an edge of this version reads what an older origin published.
"""

from shared.records.header import FORMAT, AttributeSource, Header, Phrase, Segment, read_header
from shared.records.parts import MOST_FEATURES
from shared.records.touchpoint import (
    CLUSTER_TTL_MS,
    EPOCHS,
    HOUR_MS,
    INDIVIDUAL_TTL_MS,
    MOST_SLOTS,
    Touchpoint,
    read_cell,
    read_touchpoint,
)
from shared.records.variants import Variant, read_rows, refuse_unknown_fields, to_columns

__all__ = [
    "CLUSTER_TTL_MS", "EPOCHS", "FORMAT", "HOUR_MS", "INDIVIDUAL_TTL_MS", "MOST_FEATURES", "MOST_SLOTS",
    "AttributeSource", "Header", "Phrase", "Segment", "Touchpoint", "Variant", "read_cell", "read_header",
    "read_rows", "read_touchpoint", "refuse_unknown_fields", "to_columns",
]  # fmt: skip
