"""The paired comparison: numbers computed by hand, and error rates by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from graft.components.evaluation.comparison import compare, is_refused, power_to_notice
from graft.components.evaluation.config import ComparisonConfig

DEFAULTS = ComparisonConfig()


def answers(both: int, gained: int, lost: int, neither: int) -> tuple[np.ndarray, ...]:
    """Return which model is right, for given numbers of images of each kind."""
    candidate = [True] * both + [True] * gained + [False] * (lost + neither)
    baseline = [True] * both + [False] * gained + [True] * lost + [False] * neither
    return np.array(candidate), np.array(baseline)


def draw(
    rng: np.random.Generator, num_images: int, gained: float, lost: float
) -> tuple[np.ndarray, ...]:
    """Draw images: one model alone gets a share `gained`, the other a share `lost`."""
    kinds = rng.choice(3, size=num_images, p=[gained, lost, 1 - gained - lost])
    return kinds != 1, kinds != 0


def test_numbers_by_hand() -> None:
    found = compare(*answers(both=80, gained=1, lost=7, neither=12), DEFAULTS)
    assert (found.num_images, found.num_gained, found.num_lost) == (100, 1, 7)
    assert found.candidate_accuracy == pytest.approx(0.81)
    assert found.baseline_accuracy == pytest.approx(0.87)
    assert found.difference == pytest.approx(-0.06)
    # P(at least 7 of 8 fair coins) = (8 + 1) / 256.
    assert found.p_value == pytest.approx(9 / 256)
    assert found.outcome == "worse"
    low, high = found.interval
    assert low < -0.06 < high < 0


def test_same_answers_on_many_images_are_not_worse() -> None:
    found = compare(*answers(both=1900, gained=0, lost=0, neither=100), DEFAULTS)
    assert found.outcome == "not_worse"
    assert found.p_value == 1.0
    assert found.difference == 0.0


def test_few_images_are_inconclusive_and_say_how_many_would_do() -> None:
    found = compare(*answers(both=46, gained=1, lost=2, neither=1), DEFAULTS)
    assert found.outcome == "inconclusive"
    assert found.power < DEFAULTS.power
    assert found.num_images_needed > found.num_images


def test_a_sure_but_tiny_loss_is_tolerated() -> None:
    both, lost = 99_700, 300  # 0.3 points, p far below 0.05.
    found = compare(*answers(both=both, gained=0, lost=lost, neither=0), DEFAULTS)
    assert found.p_value < 1e-9
    assert found.outcome == "not_worse"


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compare(np.array([], bool), np.array([], bool), DEFAULTS)


def share_refused(
    rng: np.random.Generator, gained: float, lost: float, repeats: int
) -> float:
    """Simulate the gate's decision on 2,000 images at the default settings."""
    refusals = [
        is_refused(compare(*draw(rng, 2000, gained, lost), DEFAULTS), DEFAULTS)
        for _ in range(repeats)
    ]
    return sum(refusals) / repeats


# Losses and gains of 2,000 images: models that share most errors, and models that share
# none (accuracies 0.93 and 0.95, errors independent).
@pytest.mark.parametrize(
    ("gained", "lost"),
    [(0.01, 0.03), (0.02, 0.04), (0.93 * 0.05, 0.95 * 0.07)],
    ids=["alike", "usual", "independent"],
)
def test_a_true_regression_of_two_points_is_refused(gained: float, lost: float) -> None:
    rng = np.random.default_rng(1)
    refused = share_refused(rng, gained, lost, repeats=300)
    assert lost - gained == pytest.approx(0.02)
    assert refused >= 0.8, refused


@pytest.mark.parametrize(
    "disagreement", [0.0, 0.005, 0.05, 0.12], ids=["identical", "0.5 %", "5 %", "12 %"]
)
def test_an_equally_good_model_is_passed(disagreement: float) -> None:
    rng = np.random.default_rng(2)
    refused = share_refused(rng, disagreement / 2, disagreement / 2, repeats=400)
    assert refused <= 0.05, refused


def test_power_is_that_of_the_simulated_test() -> None:
    rng = np.random.default_rng(3)
    outcomes = [
        compare(*draw(rng, 500, 0.02, 0.05), DEFAULTS).outcome for _ in range(1000)
    ]
    simulated = outcomes.count("worse") / len(outcomes)
    # The function adds half a disagreement, so subtract it.
    computed = power_to_notice(0.03, 0.07 - 0.5 / 500, 500, 0.05, 0.005)
    assert computed == pytest.approx(simulated, abs=0.04)
