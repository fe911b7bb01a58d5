"""The predictions of models on the `test` split, and their file.

This module imports no TensorFlow, so that reading predictions is fast.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from graft.contract.label_map import NO_LABEL, LabelMap
from graft.storage import atomic, files

PREDICTIONS_FILE = "predictions.npz"
"""File of the evaluation artifact that holds `Predictions`."""


@dataclass(frozen=True)
class EvaluatedImages:
    """The evaluated images, in the same order for every model.

    Attributes:
        class_names: The true class, str (N,).
        content_hashes: SHA-256 of the encoded bytes, str (N,).
        filenames: Path relative to the data set's root, str (N,).
        slices: Feature key to the value of each image, str (N,).
    """

    class_names: np.ndarray
    content_hashes: np.ndarray
    filenames: np.ndarray
    slices: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True)
class Answers:
    """The predictions of one model.

    Attributes:
        class_names: The model's label map.
        probabilities: float32 (N, K), in the order of the label map.
    """

    class_names: tuple[str, ...]
    probabilities: np.ndarray

    def is_right(self, true_names: np.ndarray) -> np.ndarray:
        """Return bool (N,): whether the most probable class is the true one."""
        return np.asarray(self.predicted_names() == true_names)

    def predicted_names(self) -> np.ndarray:
        """Return the most probable class of each image, str (N,)."""
        names = np.asarray(self.class_names)
        return np.asarray(names[self.probabilities.argmax(axis=1)])

    def confidences(self) -> np.ndarray:
        """Return the greatest probability of each image, float32 (N,)."""
        best: np.ndarray = self.probabilities.max(axis=1)
        return best

    def labels_of(self, names: Iterable[str]) -> np.ndarray:
        """Return the labels of class names, int64 (N,); `NO_LABEL` if unknown."""
        return np.array(LabelMap(self.class_names).labels_of(names), np.int64)

    def in_order_of(self, class_names: Sequence[str]) -> np.ndarray:
        """Return float32 (N, K') for another label map; 0 for unknown classes."""
        columns = np.zeros((len(self.probabilities), len(class_names)), np.float32)
        labels = self.labels_of(class_names)
        known = labels != NO_LABEL
        columns[:, known] = self.probabilities[:, labels[known]]
        return columns


@dataclass(frozen=True)
class Predictions:
    """The predictions of the candidate and, if there is one, of the baseline.

    Attributes:
        images: The images.
        candidate: Its answers.
        baseline: Its answers; None without one.
        is_asked: bool (N,), the images that the exported candidate was asked about;
            None for all. The head alone answered about the others.
    """

    images: EvaluatedImages
    candidate: Answers
    baseline: Answers | None = None
    is_asked: np.ndarray | None = None

    def save(self, path: str) -> None:
        """Write one .npz file, without pickles."""
        arrays = {
            "class_names": self.images.class_names,
            "content_hashes": self.images.content_hashes,
            "filenames": self.images.filenames,
            "candidate_class_names": np.asarray(self.candidate.class_names),
            "candidate_probabilities": self.candidate.probabilities,
        }
        for key, values in self.images.slices.items():
            arrays[f"slice:{key}"] = values
        if self.is_asked is not None:
            arrays["is_asked"] = self.is_asked
        if self.baseline is not None:
            arrays["baseline_class_names"] = np.asarray(self.baseline.class_names)
            arrays["baseline_probabilities"] = self.baseline.probabilities
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        atomic.write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str) -> Predictions:
        """Read what `save` wrote."""
        with np.load(io.BytesIO(files.read_bytes(path)), allow_pickle=False) as data:
            arrays = {key: data[key] for key in data.files}
        baseline = None
        if "baseline_class_names" in arrays:
            baseline = Answers(
                tuple(map(str, arrays["baseline_class_names"])),
                arrays["baseline_probabilities"],
            )
        return cls(
            images=EvaluatedImages(
                class_names=arrays["class_names"],
                content_hashes=arrays["content_hashes"],
                filenames=arrays["filenames"],
                slices={
                    key.partition(":")[2]: values
                    for key, values in arrays.items()
                    if key.startswith("slice:")
                },
            ),
            candidate=Answers(
                tuple(map(str, arrays["candidate_class_names"])),
                arrays["candidate_probabilities"],
            ),
            baseline=baseline,
            is_asked=arrays.get("is_asked"),
        )
