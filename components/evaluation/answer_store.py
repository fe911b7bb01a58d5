"""The store of what models answered, so that no model is asked twice about an image.

It lies beside the features, see `graft.storage.content_store`. A namespace is a
model, by the SHA-256 of its files. The key of an image is its SHA-256, which the gate
computes from the image's bytes. So a changed model or image is asked about again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import Literal

import numpy as np
import tensorflow as tf

from graft.storage import files, hashing
from graft.storage.content_store import store
from graft.storage.content_store.store import ContentStore

Way = Literal["asked", "scored"]
"""How an answer was found: `asked` of the exported model with the image, or `scored`
by the model's head on the stored feature, a sample of which was asked, too."""

WAYS: tuple[Way, ...] = ("asked", "scored")
DEVICES = ("cpu", "gpu")
"""Kinds of devices that a model runs on. Their answers differ by rounding."""

logger = logging.getLogger(__name__)


class AnswerStore:
    """The stored answers of one model.

    A store that can't be read or written is no reason to refuse a model. A warning
    tells of it, and the model is asked.

    Args:
        folder: Folder or URI of the store; "" for none.
        model: Relative path to SHA-256 of each file of the model.
        num_classes: Number of probabilities of an answer.
        device: One of `DEVICES`; "" for that of this process.
    """

    def __init__(
        self,
        folder: str,
        model: Mapping[str, str],
        num_classes: int,
        device: str = "",
    ) -> None:
        self._folder = folder
        self._model = model
        self._num_classes = num_classes
        self._device = device or own_device()
        self._stores: dict[Way, ContentStore] = {}
        for way in WAYS if folder else ():
            found = ContentStore(folder, self._parts(way), width=num_classes)
            # A model that nobody asked yet gets no folder: it may be refused.
            with _tolerated(folder):
                if files.exists(found.namespace_folder):
                    self._stores[way] = found.open()

    @property
    def is_there(self) -> bool:
        """Whether there is a store at all."""
        return bool(self._folder)

    def find(
        self, keys: Sequence[bytes], ways: Sequence[Way] = WAYS
    ) -> dict[bytes, np.ndarray]:
        """Return the known answers about some images, float32 (K,) by image.

        Args:
            keys: SHA-256 of the images, 32 bytes each.
            ways: The ways that may have found an answer, the preferred one first.
        """
        found: dict[bytes, np.ndarray] = {}
        for way in ways:
            known = self._stores.get(way)
            if known is None:
                continue
            left = [key for key in keys if key not in found]
            with _tolerated(self._folder):
                is_there, answers = known.find(left)
                found |= zip(compress(left, is_there), answers, strict=True)
        return found

    def add(self, way: Way, keys: Sequence[bytes], answers: np.ndarray) -> None:
        """Keep answers, float32 (len(keys), K), of images that are not kept yet."""
        if not self._folder:
            return
        with _tolerated(self._folder):
            kept = self._stores.get(way)
            if kept is None:
                parts = self._parts(way)
                kept = ContentStore(self._folder, parts, width=self._num_classes).open()
                self._stores[way] = kept
            lacking = kept.lacking(keys)
            new = {key: row for row, key in enumerate(keys) if key in lacking}
            kept.put(list(new), answers[list(new.values())])

    def _parts(self, way: Way) -> dict[str, str]:
        """Return everything that decides an answer except the image."""
        return {
            store.KIND: store.ANSWERS,
            "model": hashing.hash_json(dict(self._model)),
            "way": way,
            "tensorflow": tf.__version__,
            "device": self._device,
        }


def own_device() -> str:
    """Return which of `DEVICES` models run on in this process."""
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


@contextlib.contextmanager
def _tolerated(folder: str) -> Iterator[None]:
    """Turn an error of the store into a warning."""
    try:
        yield
    except OSError as error:
        logger.warning(
            "The store of answers in %s can't be used, so the model is asked: %s",
            folder,
            error,
        )
