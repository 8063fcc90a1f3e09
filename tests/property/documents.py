"""Parsed JSON documents of any kind, with the words that Usher reads strewn in."""

from __future__ import annotations

from hypothesis import strategies as st

Json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 60), 1 << 60)
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["goal", "order", "hero", "session", "query", "1.2.3-beta", "42"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from(["name", "type", "created_ms", "variants"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)
