"""A list of images of which few are in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.sources import ref_list
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.ref_list import RefList

NAMES = st.lists(st.text(st.characters(), max_size=3), max_size=70)


def _ref(name: str) -> ImageRef:
    return ImageRef(f"/x/{name}", f"{name}\udcff", "c", "x", ("test",), 5, None, ())


@given(
    names=NAMES,
    others=NAMES,
    most=st.integers(1, 20),
    block=st.integers(1, 7),
    start=st.integers(-80, 80),
    stop=st.integers(-80, 80),
    step=st.sampled_from([1, 2, -1]),
)
def test_it_is_a_list(
    names: list[str],
    others: list[str],
    most: int,
    block: int,
    start: int,
    stop: int,
    step: int,
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ref_list, "_MOST_IN_MEMORY", most)
        patch.setattr(ref_list, "_BLOCK", block)
        expected = [_ref(name) for name in names]
        found = RefList(expected, is_on_disk=True)
        assert list(found) == expected
        assert len(found) == len(expected)
        assert [found[place] for place in range(len(expected))] == expected
        assert [found[-place - 1] for place in range(len(expected))] == expected[::-1]
        assert found[start:stop:step] == expected[start:stop:step]
        with pytest.raises(IndexError):
            found[len(expected)]
        more = [_ref(name) for name in others]
        found.extend(more)
        assert list(found) == [*expected, *more]
        found.replace(ref for ref in found if ref.name[0] < "m")
        kept = [ref for ref in [*expected, *more] if ref.name[0] < "m"]
        assert list(found) == kept
        assert [found[place] for place in range(len(kept))] == kept
        found.clear()
        assert not list(found)


def test_most_of_many_are_on_disk():
    found = RefList(map(_ref, map(str, range(100_000))), is_on_disk=True)
    assert len(found._last) <= ref_list._MOST_IN_MEMORY
    assert found[99_999] == _ref("99999")
    assert found[7] == _ref("7")
