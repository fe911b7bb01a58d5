"""Find the answers of candidate and baseline, without asking what is known already.

A new candidate has answered nothing yet. If its head was trained on stored features, it
is applied to those of the test images, and the exported model is asked about a random
sample only. If one answer of the sample differs, the exported model is asked about all.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graft.components.evaluation.answer_store import AnswerStore, Way
from graft.components.evaluation.answer_ways import AnswerWays, describe_ways
from graft.components.evaluation.asking_job import Question, WorkersAnswers
from graft.components.evaluation.config import AnswersConfig
from graft.components.evaluation.exported_model import LoadedModel
from graft.components.evaluation.inference import Answered, Respondent, predict
from graft.components.evaluation.predictions import EvaluatedImages, Predictions
from graft.components.features.stored_features import read_features

CANDIDATE = "candidate"
BASELINE = "baseline"
NO_STORE = (
    "nothing is remembered: there is no store of features, or `gate.answers.remember` "
    "is false"
)
AskWorkers = Callable[[Mapping[str, Question]], Mapping[str, WorkersAnswers]]
"""Asks models by name on a cluster; returns what they answered."""
TOLERANCE = 1e-5
"""Greatest difference of a probability between a feature's way and the image's."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredAnswers:
    """What a model's head says about stored features.

    Attributes:
        rows: Row of each image in `values`, by its SHA-256.
        values: Probabilities, float32 (N, K).
        sample: The images that the exported model is asked about nevertheless.
        reason: Why there are none; None if there are some.
        has_few_images: Whether that is since the test images are few.
    """

    rows: Mapping[bytes, int] = field(default_factory=dict)
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    sample: frozenset[bytes] = frozenset()
    reason: str | None = None
    has_few_images: bool = False

    def find(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the answers about some images that are not in the sample."""
        return {
            key: self.values[self.rows[key]]
            for key in keys
            if key in self.rows and key not in self.sample
        }

    def greatest_difference(
        self, keys: Sequence[bytes], answers: np.ndarray, is_asked: np.ndarray
    ) -> float | None:
        """Return the greatest difference to the exported model's answers.

        Args:
            keys: The images.
            answers: Probabilities, float32 (N, K).
            is_asked: Whether the exported model gave them, bool (N,).

        Returns:
            None if no image that it was asked about has a stored feature.
        """
        known = [
            row for row, key in enumerate(keys) if is_asked[row] and key in self.rows
        ]
        if not known:
            return None
        own = self.values[[self.rows[keys[row]] for row in known]]
        return float(np.abs(own - answers[known]).max())


def score_features(
    model: LoadedModel,
    feature_files: Sequence[str],
    config: AnswersConfig,
    seed: str,
) -> ScoredAnswers:
    """Apply a model's head to the stored features of all test images.

    Args:
        model: The exported model.
        feature_files: TFRecords of the stored features of `test`; may be none.
        config: The size of the sample, and when to ask about all.
        seed: Decides which images are in the sample.
    """
    if not config.sample:
        return ScoredAnswers(reason="`gate.answers.sample` is 0")
    keys: list[bytes] = []
    parts: list[np.ndarray] = []
    score: Callable[[np.ndarray], np.ndarray] | None = None
    for hashes, features in read_features(feature_files):
        score = score or model.feature_scorer(features.shape[1])
        if score is None:
            return ScoredAnswers(reason="its head takes no stored features")
        parts.append(score(features))
        keys += map(bytes.fromhex, hashes)
    if not keys:
        return ScoredAnswers(reason="there are no stored features")
    if len(keys) < config.ask_all_below:
        return ScoredAnswers(
            reason=f"there are fewer than {config.ask_all_below:,} test images",
            has_few_images=True,
        )
    order = sorted(keys, key=lambda key: hashlib.sha256(seed.encode() + key).digest())
    return ScoredAnswers(
        {key: row for row, key in enumerate(keys)},
        np.concatenate(parts),
        frozenset(order[: config.sample]),
    )


@dataclass(frozen=True)
class Production:
    """The model in production, to be asked.

    Attributes:
        class_names: Its label map.
        load: Loads it.
        store: What it answered before.
        question: The same model, for the workers of a cluster; None: they are not
            asked.
    """

    class_names: tuple[str, ...]
    load: Callable[[], LoadedModel]
    store: AnswerStore
    question: Question | None = None


@dataclass(frozen=True)
class Found:
    """What both models answered.

    Attributes:
        images: The test images.
        keys: SHA-256 of each, 32 bytes.
        candidate: The candidate's answers.
        baseline: Those of the model in production; None if it was not asked or failed.
        failure: The error of the model in production; None if it did not fail.
        ways: How the answers were found, by `CANDIDATE` and `BASELINE`.
        foreign: Images about which the candidate was asked on another kind of device
            than this process has.
    """

    images: EvaluatedImages
    keys: list[bytes]
    candidate: Answered
    baseline: Answered | None
    failure: Exception | None
    ways: dict[str, AnswerWays]
    foreign: frozenset[bytes] = frozenset()

    @property
    def predictions(self) -> Predictions:
        """The answers as the rules, the canary and the report read them."""
        return Predictions(
            self.images,
            self.candidate.answers,
            None if self.baseline is None else self.baseline.answers,
            None if self.candidate.is_asked.all() else self.candidate.is_asked,
        )


def find_answers(
    example_files: Sequence[str],
    *,
    candidate: LoadedModel,
    scored: ScoredAnswers,
    production: Production | None,
    slice_keys: Sequence[str],
    question: Question | None = None,
    ask_workers: AskWorkers | None = None,
) -> Found:
    """Return the answers of both models about the test images.

    Args:
        example_files: TFRecords of raw examples.
        candidate: The exported candidate.
        scored: What its head says about stored features.
        production: The model in production; None if it is not asked.
        slice_keys: See `predict`.
        question: The candidate, for the workers of a cluster.
        ask_workers: Asks them; None without a cluster: this process asks.

    Raises:
        DataError: There is no test image.
        Exception: The candidate failed.
    """
    told = _ask_workers(ask_workers, scored, question, production)
    asked = Respondent(
        candidate.class_names, lambda: candidate, scored.find, _find_in(told, CANDIDATE)
    )
    models = {CANDIDATE: asked}
    loaded: list[LoadedModel] = []
    if production is not None:
        models[BASELINE] = replace(
            _respondent_of(production, loaded), told=_find_in(told, BASELINE)
        )
    predicted = predict(example_files, models, slice_keys)
    for each in loaded:
        each.close()
    if CANDIDATE in predicted.failures:
        raise predicted.failures[CANDIDATE]
    keys = predicted.keys
    answered, ways = predicted.answered[CANDIDATE], {}
    ways[CANDIDATE] = _way_of(keys, answered, scored)
    if ways[CANDIDATE].num_scored and ways[CANDIDATE].reason:
        logger.warning("The candidate: %s", ways[CANDIDATE].reason)
        if ask_workers is not None and question is not None:
            told |= ask_workers({CANDIDATE: question})
            asked = replace(asked, told=_find_in(told, CANDIDATE))
        answered = _ask_the_others(example_files, asked, keys, answered)
        ways[CANDIDATE] = replace(ways[CANDIDATE], num_asked=len(keys), num_scored=0)
    baseline = predicted.answered.get(BASELINE)
    if production is not None and baseline is not None:
        rows = np.flatnonzero(baseline.is_asked)
        foreign = _foreign(told, BASELINE, keys)
        kept = [row for row in rows if keys[row] not in foreign]
        production.store.add(
            "asked",
            [keys[row] for row in kept],
            baseline.answers.probabilities[kept],
        )
        ways[BASELINE] = AnswerWays(
            len(rows),
            num_remembered=len(keys) - len(rows),
            reason=None if production.store.is_there else NO_STORE,
        )
    for line in describe_ways({name: way.to_dict() for name, way in ways.items()}):
        logger.info("%s", line)
    return Found(
        predicted.images,
        keys,
        answered,
        baseline,
        predicted.failures.get(BASELINE),
        ways,
        frozenset(_foreign(told, CANDIDATE, keys)),
    )


def _ask_workers(
    ask_workers: AskWorkers | None,
    scored: ScoredAnswers,
    question: Question | None,
    production: Production | None,
) -> dict[str, WorkersAnswers]:
    """Ask on a cluster what neither the head nor a store can answer.

    A job takes its time, which a few images are not worth.
    """
    if ask_workers is None or scored.has_few_images:
        return {}
    questions = {}
    if scored.reason is not None and question is not None:
        questions[CANDIDATE] = question
    if production is not None and production.question is not None:
        wanted = list(scored.rows)
        if not wanted or len(production.store.find(wanted)) < len(wanted):
            questions[BASELINE] = production.question
    return dict(ask_workers(questions))


def _find_in(
    told: Mapping[str, WorkersAnswers], name: str
) -> Callable[[Sequence[bytes]], Mapping[bytes, np.ndarray]]:
    return told[name].find if name in told else lambda _: {}


def _foreign(
    told: Mapping[str, WorkersAnswers], name: str, keys: Sequence[bytes]
) -> set[bytes]:
    """Return the images whose answer is not to be kept as one of this device."""
    return told[name].of_other_devices(keys) if name in told else set()


def _respondent_of(production: Production, loaded: list[LoadedModel]) -> Respondent:
    """Return the model in production; it is added to `loaded` if it is loaded."""

    def load() -> LoadedModel:
        loaded.append(production.load())
        return loaded[-1]

    return Respondent(production.class_names, load, production.store.find)


def remember_candidate(found: Found, store: AnswerStore) -> None:
    """Keep the candidate's answers, for the run that finds it in production.

    What its head answered is kept apart from what the exported model answered.
    """
    is_asked, values = found.candidate.is_asked, found.candidate.answers.probabilities
    rows_of: dict[Way, np.ndarray] = {"asked": is_asked, "scored": ~is_asked}
    is_own = np.array([key not in found.foreign for key in found.keys], np.bool_)
    for way, are_rows in rows_of.items():
        rows = np.flatnonzero(are_rows & is_own)
        store.add(way, [found.keys[row] for row in rows], values[rows])


def _way_of(keys: list[bytes], answered: Answered, scored: ScoredAnswers) -> AnswerWays:
    """Return how the candidate's answers were found; `reason` if they can't be used."""
    num_asked = int(answered.is_asked.sum())
    if scored.reason is not None:
        return AnswerWays(num_asked, reason=scored.reason)
    difference = scored.greatest_difference(
        keys, answered.answers.probabilities, answered.is_asked
    )
    reason = None
    if difference is None:
        reason = "no image of the sample has a stored feature"
    # Written so that a difference that is no number fails, too.
    elif not difference <= TOLERANCE:
        reason = (
            f"its head's answers from stored features differ by up to {difference:.2g}"
            f", more than {TOLERANCE:g}"
        )
    return AnswerWays(
        num_asked,
        num_scored=len(keys) - num_asked,
        greatest_difference=difference,
        reason=reason,
    )


def _ask_the_others(
    example_files: Sequence[str],
    model: Respondent,
    keys: list[bytes],
    answered: Answered,
) -> Answered:
    """Ask about the images that only the head has answered about."""
    rows = {keys[row]: row for row in np.flatnonzero(answered.is_asked)}
    values = answered.answers.probabilities

    def known(wanted: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        return {key: values[rows[key]] for key in wanted if key in rows}

    predicted = predict(example_files, {CANDIDATE: replace(model, known=known)})
    if CANDIDATE in predicted.failures:
        raise predicted.failures[CANDIDATE]
    all_answers = predicted.answered[CANDIDATE].answers
    return Answered(all_answers, np.ones(len(keys), np.bool_))
