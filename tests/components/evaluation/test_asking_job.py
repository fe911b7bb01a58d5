"""The workers of a cluster are told what the gate's own process would be told."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf

from graft.components.evaluation import asking_job
from graft.components.evaluation.answer_store import AnswerStore, own_device
from graft.components.evaluation.answers import (
    Found,
    Production,
    find_answers,
    remember_candidate,
    score_features,
)
from graft.components.evaluation.asking_job import (
    Question,
    WorkersAnswers,
    ask_on_workers,
)
from graft.components.evaluation.config import AnswersConfig
from graft.components.evaluation.exported_model import LoadedModel
from graft.components.progress import Progress
from graft.storage import hashing

NUM_IMAGES = 60
SAMPLE = AnswersConfig(sample=10, ask_all_below=0)
NAMES = ("blue", "green", "red")

Save = Callable[..., Path]


class ByWorkers(LoadedModel):
    """Counts the images that workers ask about, by path of the model."""

    asked: ClassVar[dict[str, int]] = {}

    def answer(self, examples: Sequence[bytes]) -> np.ndarray:
        self.asked[self.path] = self.asked.get(self.path, 0) + len(examples)
        return super().answer(examples)


class Silent(LoadedModel):
    """A candidate that the gate's own process must not ask."""

    def answer(self, examples: Sequence[bytes]) -> np.ndarray:
        raise AssertionError("not here")


class Cluster:
    """Finds answers with workers, which run in this process."""

    def __init__(self, examples: Path, folder: Path) -> None:
        self.files = [str(path) for path in (examples / "Split-test").iterdir()]
        self.folder = folder
        self.jobs: list[set[str]] = []

    def ask(self, questions: Mapping[str, Question]) -> dict[str, WorkersAnswers]:
        self.jobs.append({*questions})
        return ask_on_workers(
            beam.Pipeline(),
            self.files,
            questions,
            folder=str(self.folder / "answers"),
            progress=Progress(),
            reports=str(self.folder / "progress"),
        )

    def find(
        self,
        candidate: LoadedModel,
        production: Production | None = None,
        features: Sequence[str] = (),
        *,
        with_workers: bool = True,
        config: AnswersConfig = SAMPLE,
    ) -> Found:
        shutil.rmtree(self.folder / "answers", ignore_errors=True)
        return find_answers(
            self.files,
            candidate=candidate,
            scored=score_features(candidate, features, config, "s"),
            production=production,
            slice_keys=(),
            question=question_of(candidate.path),
            ask_workers=self.ask if with_workers else None,
        )

    def production(self, path: str, load: Callable[[], LoadedModel]) -> Production:
        store = str(self.folder / "store")
        files = hashing.hash_folder(path) if Path(path).exists() else {"a": "b"}
        question = Question(path, files, len(NAMES), store)
        return Production(NAMES, load, AnswerStore(store, files, 3), question)


def question_of(path: str) -> Question:
    return Question(path, hashing.hash_folder(path), len(NAMES))


def not_here() -> Any:
    raise AssertionError("not here")


@pytest.fixture
def cluster(
    examples_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Cluster:
    monkeypatch.setattr(ByWorkers, "asked", {})
    monkeypatch.setattr(asking_job, "LoadedModel", ByWorkers)
    (path,) = (examples_folder / "Split-test").iterdir()
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    folder = tmp_path / "shards" / "Split-test"
    folder.mkdir(parents=True)
    for name, part in (("a", records[:40]), ("b", records[40:])):
        with tf.io.TFRecordWriter(str(folder / name)) as writer:
            for record in part:
                writer.write(record)
    return Cluster(folder.parent, tmp_path)


@pytest.fixture
def features(save_features: Save, examples_folder: Path) -> Callable[..., list[str]]:
    """Save stored features; return their files."""

    def save(*change: Callable[[np.ndarray], np.ndarray]) -> list[str]:
        folder = save_features(examples_folder, *change) / "Split-test"
        return [str(path) for path in folder.iterdir()]

    return save


def equal(one: Found, other: Found) -> bool:
    """Return whether both models gave the same answers, whoever asked."""
    order = np.argsort(one.keys), np.argsort(other.keys)
    pairs = [(one.candidate, other.candidate)]
    if one.baseline is not None and other.baseline is not None:
        pairs.append((one.baseline, other.baseline))
    return (one.baseline is None) == (other.baseline is None) and all(
        np.allclose(
            first.answers.probabilities[order[0]],
            second.answers.probabilities[order[1]],
            rtol=0,
            atol=1e-6,
        )
        for first, second in pairs
    )


def test_workers_ask_both_models_and_the_gate_asks_none(
    cluster: Cluster, save_model: Save
) -> None:
    path = str(save_model("good") / "Format-Serving")
    other = str(save_model("other", order=(2, 0, 1)) / "Format-Serving")
    here = cluster.production(other, lambda: LoadedModel(other))
    shutil.rmtree(cluster.folder / "store", ignore_errors=True)
    expected = cluster.find(LoadedModel(path), here, with_workers=False)
    shutil.rmtree(cluster.folder / "store")
    found = cluster.find(Silent(path), cluster.production(other, not_here))
    assert ByWorkers.asked == {path: NUM_IMAGES, other: NUM_IMAGES}
    assert equal(found, expected)
    assert found.candidate.is_asked.all()
    assert found.ways["baseline"].num_asked == NUM_IMAGES
    # Production's answers are remembered, so that only the next candidate is asked.
    again = cluster.find(Silent(path), cluster.production(other, not_here))
    assert ByWorkers.asked == {path: 2 * NUM_IMAGES, other: NUM_IMAGES}
    assert again.ways["baseline"].num_remembered == NUM_IMAGES
    assert equal(again, expected)


def test_what_the_head_or_a_store_answers_needs_no_job(
    cluster: Cluster, save_model: Save, features: Callable[..., list[str]]
) -> None:
    path = str(save_model("good") / "Format-Serving")
    stored = features()
    production = cluster.production(path, lambda: LoadedModel(path))
    found = cluster.find(LoadedModel(path), production, stored)
    assert cluster.jobs == [{"baseline"}]
    assert found.ways["candidate"].num_asked == 10
    cluster.find(LoadedModel(path), cluster.production(path, not_here), stored)
    assert cluster.jobs == [{"baseline"}, set()]
    few = AnswersConfig(sample=10, ask_all_below=NUM_IMAGES + 1)
    cluster.find(LoadedModel(path), None, stored, config=few)
    assert cluster.jobs == [{"baseline"}, set()]


def test_workers_ask_about_all_if_the_sample_differs(
    cluster: Cluster, save_model: Save, features: Callable[..., list[str]]
) -> None:
    path = str(save_model("good") / "Format-Serving")
    wrong = features(lambda values: np.roll(values, 1, axis=0))
    expected = cluster.find(LoadedModel(path), with_workers=False)
    found = cluster.find(LoadedModel(path), None, wrong)
    assert cluster.jobs == [set(), {"candidate"}]
    assert ByWorkers.asked == {path: NUM_IMAGES}
    assert equal(found, expected)
    assert found.ways["candidate"].num_asked == NUM_IMAGES


def test_a_model_that_fails_on_workers_fails_as_it_does_here(
    cluster: Cluster, save_model: Save
) -> None:
    path = str(save_model("good") / "Format-Serving")
    gone = str(cluster.folder / "gone")

    def fail() -> Any:
        raise OSError("no such model")

    found = cluster.find(Silent(path), cluster.production(gone, fail))
    assert found.baseline is None
    assert str(found.failure) == "no such model"
    assert found.candidate.is_asked.all()


def test_a_shard_that_is_tried_again_is_not_asked_again(
    cluster: Cluster, save_model: Save
) -> None:
    path = str(save_model("good") / "Format-Serving")
    cluster.ask({"candidate": question_of(path)})
    cluster.ask({"candidate": question_of(path)})
    assert ByWorkers.asked == {path: NUM_IMAGES}


def test_answers_of_another_kind_of_device_are_used_and_not_kept(
    cluster: Cluster, save_model: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(save_model("good") / "Format-Serving")
    (foreign,) = {"cpu", "gpu"} - {own_device()}
    question = question_of(path)
    keys = [bytes([number]) * 32 for number in range(3)]
    answers = np.eye(3, dtype=np.float32)
    folder = str(cluster.folder / "answers")
    AnswerStore(folder, question.files, 3, foreign).add("asked", keys[:2], answers[:2])
    AnswerStore(folder, question.files, 3).add("asked", keys[2:], answers[2:])
    told = WorkersAnswers(folder, question)
    assert {*told.find(keys)} == {*keys}
    assert told.of_other_devices(keys) == {*keys[:2]}
    found = cluster.find(LoadedModel(path), with_workers=False)
    kept = AnswerStore(str(cluster.folder / "kept"), question.files, 3)
    without = Found(**{**vars(found), "foreign": frozenset(found.keys[:50])})
    remember_candidate(without, kept)
    assert {*kept.find(found.keys)} == {*found.keys[50:]}
