"""The Beam job in which the workers of a cluster ask models about test images.

A worker keeps what a model answered in a store of this run alone, which the gate reads
then. So the gate's result does not depend on who asked. A question that failed on a
worker has no answer there: the gate asks it again itself, and meets the same error.

Without a cluster there is no job: the gate's own process asks.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import tensorflow as tf

from graft.components.beam_jobs import job
from graft.components.evaluation.answer_store import DEVICES, AnswerStore, own_device
from graft.components.evaluation.exported_model import LoadedModel
from graft.components.progress import Progress
from graft.contract import example_keys
from graft.storage import tfrecords

_BATCH_SIZE = 32

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """A model to ask about all test images that it has not answered about.

    Attributes:
        path: The SavedModel, where the workers see it.
        files: Relative path to SHA-256 of each file of it.
        num_classes: Number of probabilities of an answer.
        remembered: Folder or URI of the store of its earlier answers; "" for none.
    """

    path: str
    files: Mapping[str, str]
    num_classes: int
    remembered: str = ""


class WorkersAnswers:
    """What the workers of this run were told by one model.

    Args:
        folder: The folder of `ask_on_workers`.
        question: The model.
    """

    def __init__(self, folder: str, question: Question) -> None:
        self._stores = {
            device: AnswerStore(folder, question.files, question.num_classes, device)
            for device in DEVICES
        }

    def find(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the answers about some images, by SHA-256, float32 (K,) each."""
        found: dict[bytes, np.ndarray] = {}
        for store in self._stores.values():
            found |= store.find(keys)
        return found

    def of_other_devices(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return the images whose answer comes of another kind of device than ours."""
        return {
            key
            for device, store in self._stores.items()
            if device != own_device()
            for key in store.find(keys)
        }


class AskAboutShard(beam.DoFn):
    """Ask models about the images of a shard, and keep their answers.

    Args:
        questions: The models.
        folder: Folder for the answers, which the workers see.
        progress: Counts the answers.
    """

    def __init__(
        self, questions: Sequence[Question], folder: str, progress: Progress
    ) -> None:
        self._questions = tuple(questions)
        self._folder = folder
        self._progress = progress

    def setup(self) -> None:
        """Hold no model yet: all of a worker's shards may be answered already."""
        self._models: dict[str, LoadedModel] = {}

    def teardown(self) -> None:
        """Free the models."""
        for model in self.__dict__.pop("_models", {}).values():
            model.close()

    def process(self, shard: str) -> Iterator[int]:
        """Yield the number of answers about the images of a TFRecord of examples."""
        asked = [_Asked(each, self._folder, self._models) for each in self._questions]
        for batch in tfrecords.dataset([shard]).batch(_BATCH_SIZE).as_numpy_iterator():
            keys = list(map(_key_of, batch))
            for each in asked:
                self._progress.advance("answers", each.ask(keys, batch))
        yield sum(each.keep() for each in asked)


class _Asked:
    """The questions to one model about the images of a shard, and its answers."""

    def __init__(
        self, question: Question, folder: str, models: dict[str, LoadedModel]
    ) -> None:
        self._question = question
        self._models = models
        of = (question.files, question.num_classes)
        self._store = AnswerStore(folder, *of)
        self._known = [self._store]
        if question.remembered:
            self._known.append(AnswerStore(question.remembered, *of))
        self._keys: list[bytes] = []
        self._answers: list[np.ndarray] = []
        self._has_failed = False

    def ask(self, keys: Sequence[bytes], records: Sequence[bytes]) -> int:
        """Ask about images without an answer; return their number."""
        known = {key for store in self._known for key in store.find(keys)}
        rows = [row for row, key in enumerate(keys) if key not in known]
        if self._has_failed or not rows:
            return 0
        path = self._question.path
        try:
            if path not in self._models:
                self._models[path] = LoadedModel(path)
            self._answers.append(self._models[path].answer([records[r] for r in rows]))
        except Exception:
            # The gate meets it again, and decides what it means.
            logger.exception("%s could not be asked", path)
            self._has_failed = True
            return 0
        self._keys += [keys[row] for row in rows]
        return len(rows)

    def keep(self) -> int:
        """Store the answers of the shard; return their number."""
        if self._keys:
            self._store.add("asked", self._keys, np.concatenate(self._answers))
        return len(self._keys)


def _key_of(record: bytes) -> bytes:
    features = tf.train.Example.FromString(record).features.feature
    image: bytes = features[example_keys.IMAGE_KEY].bytes_list.value[0]
    return hashlib.sha256(image).digest()


def ask_on_workers(
    pipeline: beam.Pipeline,
    example_files: Sequence[str],
    questions: Mapping[str, Question],
    *,
    folder: str,
    progress: Progress,
    reports: str,
) -> dict[str, WorkersAnswers]:
    """Ask models about the test images on a cluster.

    Args:
        pipeline: An empty pipeline.
        example_files: TFRecords of raw examples.
        questions: Name to model.
        folder: Folder for the answers, which the workers see.
        progress: Counts the answers.
        reports: See `graft.components.beam_jobs.job`.

    Returns:
        Name to answers.
    """
    if questions:
        ask = AskAboutShard(list(questions.values()), folder, progress)
        with job(pipeline, progress, reports) as running:
            _ = (
                running.pipeline
                | "Shards" >> beam.Create(list(example_files))
                | "Spread" >> beam.Reshuffle()
                | "Ask" >> beam.ParDo(ask)
            )
    return {name: WorkersAnswers(folder, each) for name, each in questions.items()}
