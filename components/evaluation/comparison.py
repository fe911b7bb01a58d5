"""Compare two models on the same images: McNemar's exact test, and its power.

Only images that exactly one model gets right show a difference. If both models are
equally good, each such image is a fair coin toss, and the number of losses is binomial.

scipy supplies the binomial test and its distributions. It was considered for the rest:
`scipy.stats.power` estimates by simulation what is a sum here, and
`scipy.stats.bootstrap` resamples every image where one multinomial draw does.

McNemar, "Note on the sampling error of the difference between correlated proportions or
percentages", Psychometrika 12 (1947).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from graft.components.evaluation.config import ComparisonConfig

_NUM_BOOTSTRAP = 4_000
# The power ignores numbers of disagreements that are less probable than this.
_NEGLIGIBLE = 1e-9
_BOOTSTRAP_SEED = 20_250_101
# Equal accuracies may differ by a rounding error below this.
FLOAT_NOISE = 1e-9

Outcome = Literal["not_worse", "worse", "inconclusive"]


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of candidate and baseline.

    Attributes:
        num_images: Images whose class both models know.
        candidate_accuracy: On these images.
        baseline_accuracy: On these images.
        difference: Candidate accuracy minus baseline accuracy.
        interval: Two-sided bootstrap interval of `difference` at 1 - 2 * significance.
        num_gained: Images that only the candidate gets right.
        num_lost: Images that only the baseline gets right.
        p_value: Probability of at least as many losses if both were equally good.
        power: Probability of noticing a true loss of `margin`, given how often the
            models disagree.
        num_images_needed: Approximate number of images for the configured power.
        outcome: The result of the comparison.
    """

    num_images: int
    candidate_accuracy: float
    baseline_accuracy: float
    difference: float
    interval: tuple[float, float]
    num_gained: int
    num_lost: int
    p_value: float
    power: float
    num_images_needed: int
    outcome: Outcome

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)


def compare(
    is_candidate_right: np.ndarray,
    is_baseline_right: np.ndarray,
    config: ComparisonConfig,
) -> Comparison:
    """Compare two models on the same images.

    Args:
        is_candidate_right: bool (N,), N at least 1.
        is_baseline_right: bool (N,), in the same order.
        config: Significance, tolerance, margin and power.

    Raises:
        ValueError: There are no images, or the arrays differ in length.
    """
    if (
        is_candidate_right.shape != is_baseline_right.shape
        or not is_candidate_right.size
    ):
        raise ValueError(
            "`is_candidate_right` and `is_baseline_right` must have one value per "
            f"image, of at least one. Received: shapes {is_candidate_right.shape} and "
            f"{is_baseline_right.shape}"
        )
    # Slow to import, and a first run compares nothing.
    from scipy import stats

    n = int(is_candidate_right.size)
    gained = int(np.sum(is_candidate_right & ~is_baseline_right))
    lost = int(np.sum(~is_candidate_right & is_baseline_right))
    difference = (gained - lost) / n
    p_value = (
        float(stats.binomtest(lost, lost + gained, 0.5, alternative="greater").pvalue)
        if lost + gained
        else 1.0
    )
    disagreement = (gained + lost) / n
    power = power_to_notice(
        config.margin, disagreement, n, config.significance, config.tolerance
    )
    is_significant = p_value < config.significance
    is_relevant = -difference > config.tolerance + FLOAT_NOISE
    outcome: Outcome
    if is_significant and is_relevant:
        outcome = "worse"
    elif power < config.power:
        outcome = "inconclusive"
    else:
        outcome = "not_worse"
    return Comparison(
        num_images=n,
        candidate_accuracy=float(np.mean(is_candidate_right)),
        baseline_accuracy=float(np.mean(is_baseline_right)),
        difference=difference,
        interval=_bootstrap_interval(gained, lost, n, config.significance),
        num_gained=gained,
        num_lost=lost,
        p_value=p_value,
        power=power,
        num_images_needed=_images_needed(disagreement, n, config),
        outcome=outcome,
    )


def is_refused(comparison: Comparison, config: ComparisonConfig) -> bool:
    """Return whether the comparison refuses the candidate under the config's policy."""
    if comparison.outcome != "inconclusive":
        return comparison.outcome == "worse"
    if config.when_inconclusive == "estimate":
        return -comparison.difference > config.margin + FLOAT_NOISE
    return config.when_inconclusive == "refuse"


def power_to_notice(
    loss: float,
    disagreement: float,
    num_images: int,
    significance: float,
    tolerance: float,
) -> float:
    """Return the probability that a true loss of accuracy is noticed.

    The models are assumed to disagree on a share of at least `loss`. Half an image is
    added to the observed disagreements, because none observed does not mean none.

    Args:
        loss: The true loss of accuracy.
        disagreement: Share of images on which exactly one model is right.
        num_images: N.
        significance: Significance level of the test.
        tolerance: A loss up to this is never called worse.
    """
    from scipy import stats

    share = max(disagreement + 0.5 / num_images, loss)
    probability_lost = (share + loss) / (2 * share)
    few, many = stats.binom.ppf([_NEGLIGIBLE, 1 - _NEGLIGIBLE], num_images, share)
    counts = np.arange(int(few), int(many) + 1)
    weights = stats.binom.pmf(counts, num_images, share)
    # Fewest losses, for each number of disagreements, that are significant.
    bounds = stats.binom.isf(significance, counts, 0.5) + 1
    # Fewest losses that exceed the tolerance: 2 * lost - count > tolerance * n.
    relevant = np.floor((tolerance * num_images + counts) / 2 + FLOAT_NOISE) + 1
    noticed = stats.binom.sf(np.maximum(bounds, relevant) - 1, counts, probability_lost)
    return float(np.sum(weights * noticed))


def _images_needed(disagreement: float, n: int, config: ComparisonConfig) -> int:
    """Return the number of images for the configured power (normal approximation)."""
    from scipy import stats

    loss = config.margin
    share = max(disagreement + 0.5 / n, loss)
    z_test = float(stats.norm.isf(config.significance))
    z_power = float(stats.norm.ppf(config.power))
    spread = z_test * np.sqrt(share) + z_power * np.sqrt(max(share - loss**2, 0.0))
    return int(np.ceil((spread / loss) ** 2))


def _bootstrap_interval(
    gained: int, lost: int, n: int, significance: float
) -> tuple[float, float]:
    """Return the bootstrap interval. There are three kinds of images: a multinomial."""
    rng = np.random.default_rng(_BOOTSTRAP_SEED)
    shares = [gained / n, lost / n, (n - gained - lost) / n]
    draws = rng.multinomial(n, shares, size=_NUM_BOOTSTRAP)
    low, high = np.quantile(
        (draws[:, 0] - draws[:, 1]) / n, [significance, 1 - significance]
    )
    return float(low), float(high)
