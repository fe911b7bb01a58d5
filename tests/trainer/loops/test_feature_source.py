"""A stream has the batches and the order asked for; an array has all rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graft.trainer.loops.feature_source import FeatureSource

_ROWS = np.random.default_rng(0).random((900, 5), np.float32)
_LABELS = np.arange(900) % 3


@pytest.fixture(scope="module")
def source(
    tmp_path_factory: pytest.TempPathFactory,
    write_shards: Callable[..., FeatureSource],
) -> FeatureSource:
    folder: Path = tmp_path_factory.mktemp("features")
    return write_shards(folder / "train", _ROWS, _LABELS)


def test_an_array_has_all_rows_unless_they_are_too_many(source: FeatureSource) -> None:
    features, labels = source.load_within(_ROWS.nbytes)
    order = np.concatenate([np.arange(900)[index::3] for index in range(3)])
    np.testing.assert_array_equal(features, _ROWS[order])
    np.testing.assert_array_equal(labels, _LABELS[order])
    assert source.load_within(_ROWS.nbytes - 1) is None


@pytest.mark.parametrize("size", [7, 50, 700])
def test_batches_have_the_size_asked_for(source: FeatureSource, size: int) -> None:
    sizes = [len(y) for _, y in source.batches(size, (0, 0))]
    assert sizes == [size] * (900 // size) + [900 % size] * (900 % size > 0)


def test_each_epoch_sees_every_example_once_in_an_order_of_its_own(
    source: FeatureSource,
) -> None:
    def order(*shuffle: int) -> np.ndarray:
        return np.concatenate([x[:, 0] for x, _ in source.batches(50, shuffle)])

    one, again, other = order(1, 0), order(1, 0), order(1, 1)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    stored = np.concatenate([x[:, 0] for x, _ in source.batches(50)])
    assert not np.array_equal(one, stored)
    np.testing.assert_array_equal(np.sort(one), np.sort(stored))
