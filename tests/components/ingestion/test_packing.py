"""Rows that workers exchange."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.packing import pack, range_of, unpack

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(st.lists(st.tuples(st.integers(0, 5), st.text(st.characters()))))
def test_rows_come_back_in_order(rows: list[tuple[int, str]]):
    rows.append((0, "\udcff"))
    packed = list(pack(rows))
    assert Counter(key for key, _ in packed) == Counter({key for key, _ in rows})
    for key, found in packed:
        assert list(unpack([found])) == [row for other, row in rows if other == key]


@given(st.lists(DIGESTS, min_size=1), st.integers(1, 1000))
def test_ranges_are_in_the_order_of_hashes(digests: list[str], number: int):
    digests = [*digests, "0" * 64, "f" * 64]
    found = [range_of(digest, number) for digest in sorted(digests)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, number - 1)
