"""The choice of pictures: a few of each class, and of each confusion."""

from __future__ import annotations

import numpy as np

from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.report.gallery import (
    CONFUSED_IMAGES,
    MOST_CLASSES,
    SAMPLES_PER_CLASS,
    class_samples,
    confused_samples,
)


def _predictions(num_classes: int, each: int) -> Predictions:
    names = tuple(f"c{index}" for index in range(num_classes))
    truth = np.repeat(np.arange(num_classes), each)
    # The answer to every second image is the next class.
    answers = np.where(np.arange(len(truth)) % 2, (truth + 1) % num_classes, truth)
    images = EvaluatedImages(
        np.array([names[label] for label in truth]),
        np.array([f"{-index % 997:03d}" for index in range(len(truth))]),
        np.array([f"{index}.png" for index in range(len(truth))]),
    )
    shares = np.eye(num_classes, dtype=np.float32)[answers]
    return Predictions(images, Answers(names, shares))


def test_a_class_has_a_few_images_chosen_by_content():
    found = class_samples(_predictions(2, 10), {"c0": 0.5, "c1": 0.5, "c2": None})
    assert [(group.true_name, group.num_images) for group in found] == [
        ("c0", 10),
        ("c1", 10),
    ]
    hashes = [sample.content_hash for sample in found[0].samples]
    assert len(hashes) == SAMPLES_PER_CLASS
    assert hashes == sorted(hashes)
    assert found[0].samples[0].filename == "0.png"


def test_of_many_classes_the_worst_have_images():
    number = MOST_CLASSES + 5
    recalls = {f"c{index}": 1 - index / 100 for index in range(number)}
    found = class_samples(_predictions(number, 2), {**recalls, "c7": None})
    names = [group.true_name for group in found]
    assert len(names) == MOST_CLASSES
    assert names[0] == f"c{number - 1}"
    assert "c0" not in names


def test_a_confusion_has_its_own_images():
    (group,) = confused_samples(_predictions(3, 12), [("c0", "c1")])
    assert (group.true_name, group.answer, group.num_images) == ("c0", "c1", 6)
    assert len(group.samples) == CONFUSED_IMAGES
    assert {int(sample.filename[:-4]) % 2 for sample in group.samples} == {1}
