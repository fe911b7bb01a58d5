"""Features are kept whole or projected, however they come in."""

from __future__ import annotations

import numpy as np
import pytest

from graft.components.quality import feature_table
from graft.components.quality.feature_table import FeatureTable


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize(("most", "width"), [(30, 300), (30, 8), (1000, 300)])
def test_batches_make_one_table(
    size: int, most: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_table, "MOST_WHOLE", most)
    values = np.random.default_rng(0).normal(size=(100, width)).astype(np.float32)
    keys = [f"{index:02d}" for index in range(100)]
    table = FeatureTable.of(
        (keys[start : start + size], values[start : start + size])
        for start in range(0, 100, size)
    )
    assert table.content_hashes.to_pylist() == keys
    if most < 100 and width > feature_table.PROJECTED:
        values = values @ feature_table._random_axes(width)
    np.testing.assert_allclose(table.values, values, rtol=1e-4, atol=1e-4)


def test_no_features_are_an_empty_table() -> None:
    assert not len(FeatureTable.of([]))
