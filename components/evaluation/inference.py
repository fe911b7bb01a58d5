"""Find the answers of models about the `test` split, each image once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from graft.components import progress
from graft.components.evaluation.config import SIZE_SLICE
from graft.components.evaluation.exported_model import LoadedModel
from graft.components.evaluation.predictions import Answers, EvaluatedImages
from graft.contract import example_keys
from graft.contract.errors import DataError
from graft.storage import tfrecords

_BATCH_SIZE = 32
_SIZE_EDGES = (64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Respondent:
    """A model whose answers are wanted.

    Attributes:
        class_names: Its label map.
        load: Loads it; called when it has to be asked for the first time.
        known: Returns the answers that need not be asked for, float32 (K,), by the
            SHA-256 of images.
        told: The same of the answers that workers of this run got from the model.
    """

    class_names: tuple[str, ...]
    load: Callable[[], LoadedModel]
    known: Callable[[Sequence[bytes]], Mapping[bytes, np.ndarray]] = lambda _: {}
    told: Callable[[Sequence[bytes]], Mapping[bytes, np.ndarray]] = lambda _: {}


@dataclass(frozen=True)
class Answered:
    """The answers of one model.

    Attributes:
        answers: About all images.
        is_asked: bool (N,), the images that the model was asked about in this run.
    """

    answers: Answers
    is_asked: np.ndarray


@dataclass(frozen=True)
class Predicted:
    """What `predict` returns.

    Attributes:
        images: The images, in the order of the files.
        keys: SHA-256 of each, 32 bytes.
        answered: Name to the answers of each model that did not fail.
        failures: Name to the error of each model that failed.
    """

    images: EvaluatedImages
    keys: list[bytes]
    answered: dict[str, Answered]
    failures: dict[str, Exception]


def predict(
    example_files: Sequence[str],
    models: Mapping[str, Respondent],
    slice_keys: Sequence[str] = (),
) -> Predicted:
    """Return the answers of all models about all examples. Each is read once.

    Args:
        example_files: TFRecords of raw examples.
        models: Name to model.
        slice_keys: Features to keep for slicing, besides `SIZE_SLICE`.

    Raises:
        DataError: There is no example.
    """
    counters = progress.current()
    conversations = {name: _Conversation(model) for name, model in models.items()}
    columns: dict[str, list[str]] = {}
    keys: list[bytes] = []
    for batch in _batches(example_files):
        parsed = [tf.train.Example.FromString(each).features.feature for each in batch]
        of_batch = [_key_of(each) for each in parsed]
        for conversation in conversations.values():
            conversation.add(of_batch, batch)
        keys += of_batch
        for features in parsed:
            for key, value in _describe(features, slice_keys).items():
                columns.setdefault(key, []).append(value)
        counters.advance("images", len(batch))
    if not columns:
        raise DataError(
            "The `test` split has no images, so nothing can be said about the model. "
            "Give it a share in `data.split`, or a folder of its own."
        )
    arrays = {key: np.asarray(values) for key, values in columns.items()}
    images = EvaluatedImages(
        class_names=arrays.pop(example_keys.CLASS_NAME_KEY),
        content_hashes=arrays.pop(example_keys.CONTENT_HASH_KEY),
        filenames=arrays.pop(example_keys.FILENAME_KEY),
        slices=arrays,
    )
    ended = {name: each.end() for name, each in conversations.items()}
    return Predicted(
        images,
        keys,
        {name: each for name, each in ended.items() if each is not None},
        {
            name: each.failure
            for name, each in conversations.items()
            if each.failure is not None
        },
    )


class _Conversation:
    """The questions to one model, in batches, and its answers."""

    def __init__(self, model: Respondent) -> None:
        self._model = model
        self._loaded: LoadedModel | None = None
        self._num_images = 0
        self._waiting: list[tuple[int, bytes]] = []
        self._known: list[tuple[int, np.ndarray]] = []
        self._asked: list[tuple[list[int], np.ndarray]] = []
        self.failure: Exception | None = None

    def add(self, keys: Sequence[bytes], examples: Sequence[bytes]) -> None:
        """Look up or ask about some images."""
        if self.failure is not None:
            return
        known, told = self._model.known(keys), self._model.told(keys)
        for key, example in zip(keys, examples, strict=True):
            if key in told:
                self._asked.append(([self._num_images], told[key][np.newaxis]))
            elif key in known:
                self._known.append((self._num_images, known[key]))
            else:
                self._waiting.append((self._num_images, example))
            self._num_images += 1
        while len(self._waiting) >= _BATCH_SIZE:
            self._ask()

    def end(self) -> Answered | None:
        """Ask what is left; return all answers, or None if the model failed."""
        while self._waiting:
            self._ask()
        if self.failure is not None:
            return None
        names = self._model.class_names
        probabilities = np.empty((self._num_images, len(names)), np.float32)
        is_asked = np.zeros(self._num_images, np.bool_)
        for row, answer in self._known:
            probabilities[row] = answer
        for rows, answers in self._asked:
            probabilities[rows] = answers
            is_asked[rows] = True
        return Answered(Answers(names, probabilities), is_asked)

    def _ask(self) -> None:
        now, self._waiting = (
            self._waiting[:_BATCH_SIZE],
            self._waiting[_BATCH_SIZE:],
        )
        rows, examples = [row for row, _ in now], [example for _, example in now]
        try:
            if self._loaded is None:
                self._loaded = self._model.load()
            self._asked.append((rows, self._loaded.answer(examples)))
        except Exception as error:
            self.failure = error
            self._waiting = []


def _batches(example_files: Sequence[str]) -> Iterator[list[bytes]]:
    dataset = tfrecords.dataset(example_files)
    for batch in dataset.batch(_BATCH_SIZE).prefetch(2).as_numpy_iterator():
        yield list(batch)


def _key_of(found: Any) -> bytes:
    """Return the SHA-256 of the image. It is computed, so that no other is trusted."""
    return hashlib.sha256(found[example_keys.IMAGE_KEY].bytes_list.value[0]).digest()


def _describe(found: Any, slice_keys: Sequence[str]) -> dict[str, str]:
    """Return an example's class, hash, filename and slice values as text."""
    keys = [
        example_keys.CLASS_NAME_KEY,
        example_keys.CONTENT_HASH_KEY,
        example_keys.FILENAME_KEY,
    ]
    described = {key: _text(found[key]) if key in found else "" for key in keys}
    for key in slice_keys:
        if key == SIZE_SLICE:
            sides = [
                found[side].int64_list.value[0]
                for side in (example_keys.HEIGHT_KEY, example_keys.WIDTH_KEY)
                if side in found and found[side].int64_list.value
            ]
            described[key] = size_range(max(sides, default=0))
        else:
            described[key] = _text(found[key]) if key in found else ""
    return described


def _text(feature: tf.train.Feature) -> str:
    match feature.WhichOneof("kind"):
        case "bytes_list":
            values = [v.decode("utf-8", "replace") for v in feature.bytes_list.value]
        case "int64_list":
            values = [str(v) for v in feature.int64_list.value]
        case "float_list":
            values = [f"{v:g}" for v in feature.float_list.value]
        case _:
            values = []
    return ", ".join(values)


def size_range(longer_edge: int) -> str:
    """Return the range of a number of pixels, such as "64 to 127 px"."""
    low = 0
    for edge in _SIZE_EDGES:
        if longer_edge < edge:
            return f"{low} to {edge - 1} px"
        low = edge
    return f"{low} px and more"


def first_example(example_files: Sequence[str]) -> bytes:
    """Return the first example.

    Raises:
        DataError: There is none.
    """
    for record in tfrecords.dataset(example_files).take(1).as_numpy_iterator():
        return bytes(record)
    raise DataError("The `test` split has no images.")
