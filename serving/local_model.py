"""Predict with a SavedModel in this process, without a server or Keras."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from graft.contract import signature_names
from graft.contract.label_map import LabelMap
from graft.serving import tensorflow_runtime
from graft_client import Prediction, wire
from graft_client.errors import PredictionError, ServingError

_BATCH_SIZE = 32
_BATCH_BYTES = 64 * 2**20


class LocalModel:
    """One version of a model, loaded into this process.

    Args:
        version: The version's number.
        path: Its folder.

    Raises:
        ServingError: If it can't be loaded, or graft didn't export it.
    """

    def __init__(self, version: int, path: Path) -> None:
        tensorflow_runtime.load_lean()
        from graft.serving.embedded.contract.status import StatusError
        from graft.serving.embedded.loading.saved_model import SavedModel

        self._refusal = StatusError
        try:
            self._model = SavedModel(path)
        except StatusError as error:
            raise ServingError(f"{path} can't be loaded: {error.message}") from error
        if signature_names.IMAGES_SIGNATURE not in self._model.signatures:
            raise ServingError(
                f"{path} has no signature {signature_names.IMAGES_SIGNATURE!r}; "
                "did graft export it?"
            )
        self._version = version
        self.class_names = _read_class_names(path)
        # The first run prepares the graph and writes to standard error. Do it here, so
        # that a caller can hide that output.
        with contextlib.suppress(StatusError):
            self._outcomes(wire.Chunk(0, []), signature_names.IMAGES_SIGNATURE)

    def predict_each(
        self, images: Iterable[bytes]
    ) -> Iterator[Prediction | PredictionError]:
        """Classify encoded images; a refused one yields its error in its place."""
        for chunk in wire.cut_chunks(images, _BATCH_SIZE, _BATCH_BYTES):
            yield from self._predict_chunk(chunk)

    def _predict_chunk(self, chunk: wire.Chunk) -> list[Prediction | PredictionError]:
        try:
            return self._outcomes(chunk, signature_names.IMAGES_SIGNATURE)
        except self._refusal as error:
            if signature_names.EACH_SIGNATURE in self._model.signatures:
                # The signature of a model from elsewhere may fail, too.
                with contextlib.suppress(self._refusal):
                    return self._outcomes(chunk, signature_names.EACH_SIGNATURE)
            if len(chunk.images) == 1:
                code = error.code.name
                return [PredictionError(chunk.start, code, error.message)]
            first, second = chunk.halves()
            return self._predict_chunk(first) + self._predict_chunk(second)

    def _outcomes(
        self, chunk: wire.Chunk, signature_name: str
    ) -> list[Prediction | PredictionError]:
        signature = self._model.signatures[signature_name]
        array = np.empty(len(chunk.images), object)
        array[:] = chunk.images
        names = sorted(signature.outputs)
        feeds = {signature.inputs[signature_names.IMAGES_INPUT].name: array}
        fetches = [signature.outputs[name].name for name in names]
        found = dict(zip(names, self._model.run(feeds, fetches), strict=True))
        probabilities = found[signature_names.PROBABILITIES_OUTPUT]
        errors = found.get(signature_names.ERROR_OUTPUT, [b""] * len(array))
        fits = len(self.class_names) == probabilities.shape[1]
        return [
            Prediction(
                class_name=label.decode("utf-8", "replace"),
                score=float(row.max()),
                model_version=self._version,
                probabilities=tuple(row.tolist()),
                class_names=self.class_names if fits else (),
            )
            if not error
            else PredictionError(
                chunk.start + index,
                wire.INVALID_ARGUMENT,
                error.decode("utf-8", "replace"),
            )
            for index, (row, label, error) in enumerate(
                zip(
                    probabilities,
                    found[signature_names.LABEL_OUTPUT],
                    errors,
                    strict=True,
                )
            )
        ]

    def close(self) -> None:
        """Free the model."""
        self._model.close()


def _read_class_names(path: Path) -> tuple[str, ...]:
    for folder in ("assets", "assets.extra"):
        file = path / folder / signature_names.CLASS_NAMES_ASSET
        if file.is_file():
            return LabelMap.from_text(file.read_bytes().decode()).class_names
    return ()
