"""Answers that are remembered or scored are those that the model would have given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from graft.components.evaluation.answer_store import AnswerStore
from graft.components.evaluation.answer_ways import describe_ways
from graft.components.evaluation.answers import (
    Found,
    Production,
    ScoredAnswers,
    find_answers,
    remember_candidate,
    score_features,
)
from graft.components.evaluation.config import AnswersConfig
from graft.components.evaluation.exported_model import LoadedModel
from graft.contract import example_keys
from graft.storage import hashing

NUM_IMAGES = 60
SAMPLE = AnswersConfig(sample=10, ask_all_below=0)

Save = Callable[..., Path]


class Counted(LoadedModel):
    """Counts the images that it is asked about."""

    num_asked = 0

    def answer(self, examples: Sequence[bytes]) -> np.ndarray:
        self.num_asked += len(examples)
        return super().answer(examples)


class Gate:
    """Finds answers of models about the images of an artifact."""

    def __init__(self, examples: Path, store: str) -> None:
        self.examples = examples
        self.store = store

    def find(
        self,
        model: Path,
        features: Path | None = None,
        config: AnswersConfig = SAMPLE,
        production: Path | None = None,
    ) -> tuple[Found, Counted, list[Counted]]:
        """Return the answers, the candidate, and production if it was loaded."""
        candidate = Counted(str(model / "Format-Serving"))
        loaded: list[Counted] = []
        found = find_answers(
            files_of(self.examples),
            candidate=candidate,
            scored=score_features(
                candidate, [] if features is None else files_of(features), config, "s"
            ),
            production=None if production is None else self.served(production, loaded),
            slice_keys=(),
        )
        return found, candidate, loaded

    def served(self, model: Path, loaded: list[Counted]) -> Production:
        path = str(model / "Format-Serving")

        def load() -> LoadedModel:
            loaded.append(Counted(path))
            return loaded[-1]

        names = ("blue", "green", "red")
        store = AnswerStore(self.store, hashing.hash_folder(path), len(names))
        return Production(names, load, store)


def files_of(examples: Path) -> list[str]:
    return [str(path) for path in sorted((examples / "Split-test").iterdir())]


@pytest.fixture
def gate(examples_folder: Path, tmp_path: Path) -> Gate:
    return Gate(examples_folder, str(tmp_path / "store"))


def probabilities(found: Found) -> np.ndarray:
    return found.candidate.answers.probabilities


def test_a_sample_is_asked_and_the_head_answers_about_the_others(
    gate: Gate, save_model: Save, save_features: Save
) -> None:
    model = save_model("good")
    all_asked, _, _ = gate.find(model)
    found, candidate, _ = gate.find(model, save_features(gate.examples))
    assert candidate.num_asked == 10
    assert found.candidate.is_asked.sum() == 10
    np.testing.assert_allclose(
        probabilities(found), probabilities(all_asked), rtol=0, atol=1e-5
    )
    assert found.predictions.is_asked is not None
    assert all_asked.predictions.is_asked is None
    ways = found.ways["candidate"]
    assert (ways.num_asked, ways.num_scored, ways.reason) == (10, 50, None)
    assert ways.greatest_difference is not None
    assert 0 < ways.greatest_difference <= 1e-5
    (line,) = describe_ways({"candidate": ways.to_dict()})
    assert "asked about 10 test images; its head answered about 50" in line


def far(features: np.ndarray) -> np.ndarray:
    return features + np.linspace(0, 1e-3, 3, dtype=np.float32)


def of_others(features: np.ndarray) -> np.ndarray:
    return np.roll(features, 1, axis=0)


def no_numbers(features: np.ndarray) -> np.ndarray:
    return np.full_like(features, np.nan)


@pytest.mark.parametrize("wrong", [far, of_others, no_numbers])
def test_all_are_asked_if_one_answer_of_the_sample_differs(
    gate: Gate,
    save_model: Save,
    save_features: Save,
    caplog: pytest.LogCaptureFixture,
    wrong: Callable[[np.ndarray], np.ndarray],
) -> None:
    model = save_model("good")
    all_asked, _, _ = gate.find(model)
    features = save_features(gate.examples, wrong)
    with caplog.at_level(logging.WARNING):
        found, candidate, _ = gate.find(model, features)
    assert candidate.num_asked == NUM_IMAGES
    np.testing.assert_allclose(
        probabilities(found), probabilities(all_asked), rtol=0, atol=1e-6
    )
    ways = found.ways["candidate"]
    assert (ways.num_asked, ways.num_scored) == (NUM_IMAGES, 0)
    assert "differ by up to" in str(ways.reason)
    assert "differ by up to" in caplog.text
    assert found.predictions.is_asked is None


@pytest.mark.parametrize(
    "config, with_features, reason",
    [
        (AnswersConfig(sample=10, ask_all_below=61), True, "fewer than 61 test images"),
        (AnswersConfig(sample=0, ask_all_below=0), True, "`gate.answers.sample` is 0"),
        (SAMPLE, False, "no stored features"),
    ],
    ids=["few images", "no sample", "no features"],
)
def test_all_are_asked_for_a_reason(
    gate: Gate,
    save_model: Save,
    save_features: Save,
    config: AnswersConfig,
    with_features: bool,
    reason: str,
) -> None:
    features = save_features(gate.examples) if with_features else None
    found, candidate, _ = gate.find(save_model("good"), features, config)
    assert candidate.num_asked == NUM_IMAGES
    assert reason in str(found.ways["candidate"].reason)


def test_features_of_another_width_are_not_scored(
    gate: Gate, save_model: Save, save_features: Save
) -> None:
    wide = save_features(gate.examples, lambda all: np.repeat(all, 2, axis=1))
    found, candidate, _ = gate.find(save_model("good"), wide)
    assert candidate.num_asked == NUM_IMAGES
    assert "takes no stored features" in str(found.ways["candidate"].reason)


def test_production_is_asked_once_about_an_image(
    gate: Gate, save_model: Save, save_examples: Save
) -> None:
    model, other = save_model("good"), save_model("other", order=(2, 0, 1))
    first, _, loaded = gate.find(model, production=other)
    assert [each.num_asked for each in loaded] == [NUM_IMAGES]
    again, _, loaded = gate.find(model, production=other)
    assert loaded == []
    assert first.baseline is not None
    assert again.baseline is not None
    np.testing.assert_array_equal(
        first.baseline.answers.probabilities, again.baseline.answers.probabilities
    )
    ways = again.ways["baseline"]
    assert (ways.num_asked, ways.num_remembered) == (0, NUM_IMAGES)
    # Files of the same names with other pixels are other images.
    gate.examples = save_examples("brighter", brightness=20)
    _, _, loaded = gate.find(model, production=other)
    assert [each.num_asked for each in loaded] == [NUM_IMAGES]


def test_without_a_store_production_is_asked_and_it_is_told(
    gate: Gate, save_model: Save
) -> None:
    gate.store = ""
    model = save_model("good")
    for _ in range(2):
        found, _, loaded = gate.find(model, production=model)
        assert [each.num_asked for each in loaded] == [NUM_IMAGES]
        (_, line) = describe_ways(
            {name: way.to_dict() for name, way in found.ways.items()}
        )
        assert "nothing is remembered: there is no store of features" in line


def test_the_hash_of_an_image_is_computed_and_not_believed(
    gate: Gate, save_model: Save, save_examples: Save
) -> None:
    model, other = save_model("good"), save_model("other", order=(2, 0, 1))
    gate.find(model, production=other)
    (path,) = (save_examples("brighter", brightness=20) / "Split-test").iterdir()
    (known,) = files_of(gate.examples)
    pairs = zip(*map(records_of, (str(path), known)), strict=True)
    with tf.io.TFRecordWriter(known) as writer:
        for brighter, before in pairs:
            example = tf.train.Example.FromString(brighter)
            feature = example.features.feature
            claimed = tf.train.Example.FromString(before).features.feature
            feature[example_keys.CONTENT_HASH_KEY].CopyFrom(
                claimed[example_keys.CONTENT_HASH_KEY]
            )
            writer.write(example.SerializeToString())
    _, _, loaded = gate.find(model, production=other)
    assert [each.num_asked for each in loaded] == [NUM_IMAGES]


def records_of(path: str) -> list[bytes]:
    return list(tf.data.TFRecordDataset(path).as_numpy_iterator())


def test_a_candidate_is_remembered_when_it_is_in_production(
    gate: Gate, save_model: Save, save_features: Save
) -> None:
    model, features = save_model("good"), save_features(gate.examples)
    found, _, _ = gate.find(model, features)
    remember_candidate(found, gate.served(model, []).store)
    later, _, loaded = gate.find(save_model("next"), features, production=model)
    assert loaded == []
    assert later.baseline is not None
    np.testing.assert_array_equal(
        later.baseline.answers.probabilities, probabilities(found)
    )


def test_a_damaged_file_of_answers_is_asked_again_and_told(
    gate: Gate, save_model: Save, caplog: pytest.LogCaptureFixture
) -> None:
    model, other = save_model("good"), save_model("other", order=(2, 0, 1))
    first, _, _ = gate.find(model, production=other)
    (path,) = Path(gate.store).rglob("*.arrow")
    content = bytearray(path.read_bytes())
    assert first.baseline is not None
    answer = first.baseline.answers.probabilities[0]
    place = content.find(answer.tobytes())
    content[place : place + 12] = answer[::-1].tobytes()
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        again, _, loaded = gate.find(model, production=other)
    assert [each.num_asked for each in loaded] == [NUM_IMAGES]
    assert "is damaged" in caplog.text
    assert again.baseline is not None
    np.testing.assert_array_equal(
        first.baseline.answers.probabilities, again.baseline.answers.probabilities
    )


def test_production_that_fails_is_told_and_nothing_is_kept(
    gate: Gate, save_model: Save
) -> None:
    model = save_model("good")

    def fail() -> Any:
        raise OSError("no such model")

    production = Production(
        ("a", "b"), fail, AnswerStore(gate.store, {"file": "hash"}, 2)
    )
    candidate = LoadedModel(str(model / "Format-Serving"))
    found = find_answers(
        files_of(gate.examples),
        candidate=candidate,
        scored=score_features(candidate, [], SAMPLE, "s"),
        production=production,
        slice_keys=(),
    )
    assert found.baseline is None
    assert str(found.failure) == "no such model"
    assert not Path(gate.store).exists()


def test_a_sample_without_stored_features_proves_nothing() -> None:
    """The features may be those of another model or of other images."""
    keys = [bytes([number]) * 32 for number in range(4)]
    values = np.full((4, 2), 0.5, np.float32)
    scored = ScoredAnswers({keys[0]: 0}, values[:1], frozenset(keys[1:]))
    is_asked = np.array([False, True, True, True])
    assert scored.greatest_difference(keys, values, is_asked) is None
    assert scored.greatest_difference(keys, values, ~is_asked) == 0
