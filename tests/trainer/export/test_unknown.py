"""The threshold of the label `unknown`."""

from __future__ import annotations

import numpy as np
import pytest

from graft.contract.errors import UserError
from graft.trainer.export.unknown import calibrate_threshold


@pytest.mark.parametrize("share", [0.05, 0.25, 0.9])
def test_so_many_images_of_eval_are_below_the_threshold(share):
    sure = np.random.default_rng(0).uniform(0.5, 1, 1000)
    probabilities = np.stack([1 - sure, sure], axis=1).astype("float32")
    threshold = calibrate_threshold(probabilities, share, ["cat", "dog"])
    is_unknown = probabilities.max(axis=1) < threshold
    assert is_unknown.mean() == pytest.approx(share, abs=0.002)


def test_images_alike_are_all_named():
    threshold = calibrate_threshold(np.full((9, 2), 0.5, "float32"), 0.5, ["a", "b"])
    assert not (np.full(9, 0.5) < threshold).any()


def test_a_class_called_unknown_is_in_the_way():
    with pytest.raises(UserError, match=r"`training.unknown_share` .*rename the class"):
        calibrate_threshold(np.ones((1, 1)), 0.1, ["cat", "unknown"])
