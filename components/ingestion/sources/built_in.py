"""Built-in data sets of libraries: `keras:NAME` and `sklearn:digits`."""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from graft.components.ingestion.sources.blob import BlobWriter
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.source import Listing
from graft.components.ingestion.sources.splitting import (
    TEST_ROLE,
    TRAIN_ROLE,
    splits_of_roles,
)
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS

_DIGITS = tuple("0123456789")
_CLASS_NAMES = {
    "cifar10": tuple(
        "airplane automobile bird cat deer dog frog horse ship truck".split()
    ),
    "cifar100": tuple(
        "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy "
        "bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee "
        "clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
        "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower "
        "leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom "
        "oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain "
        "plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal "
        "shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower "
        "sweet_pepper table tank telephone television tiger tractor train trout tulip "
        "turtle wardrobe whale willow_tree wolf woman worm".split()
    ),
    "mnist": _DIGITS,
    "fashion_mnist": (
        "T-shirt or top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}

NAMES = ("sklearn:digits", *(f"keras:{name}" for name in _CLASS_NAMES))
"""Allowed values of `data.path` for built-in data sets."""

# Pixels (N, H, W) or (N, H, W, 3) uint8, class names (N,), role: train, test or None.
_Part = tuple[np.ndarray[Any, Any], list[str], "str | None"]


def list_images(config: DataConfig, work_folder: str) -> Listing:
    """Write the images of a built-in data set to one file, as PNG, and list them.

    Args:
        config: Its `path` is one of `NAMES`.
        work_folder: Folder for the file.

    Returns:
        The references. A Keras data set's test set is the split `test`.

    Raises:
        DataError: There is no such data set, or it can't be downloaded.
    """
    if config.path not in NAMES:
        close = difflib.get_close_matches(config.path, NAMES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise DataError(
            f"`data.path` must be one of {', '.join(NAMES)}. "
            f"Received: path={config.path!r}.{hint}"
        )
    library, _, name = config.path.partition(":")
    load: Callable[[str], Iterator[_Part]] = (
        _load_digits if library == "sklearn" else _load_keras
    )
    listing = Listing(library)
    splits = splits_of_roles({TRAIN_ROLE, TEST_ROLE}, config.validation_becomes)
    path = os.path.join(work_folder, f"{name}.blob")
    with BlobWriter(path) as blob:
        for pixels, labels, role in load(name):
            for number, label in enumerate(labels):
                encoded = _to_png(pixels[number])
                listing.refs.append(
                    ImageRef(
                        path,
                        f"{role or name}/{label}/{number:05d}.png",
                        label,
                        config.path,
                        splits[role] if role else SPLITS,
                        len(encoded),
                        blob.append(encoded),
                    )
                )
    return listing


def _load_digits(name: str) -> Iterator[_Part]:
    del name
    from sklearn.datasets import load_digits

    digits = load_digits()
    # Pixel values are 0 to 16.
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    yield pixels, [_DIGITS[label] for label in digits.target], None


def _load_keras(name: str) -> Iterator[_Part]:
    import keras

    names = _CLASS_NAMES[name]
    try:
        loaded = getattr(keras.datasets, name).load_data()
    except Exception as error:
        raise DataError(
            f"Keras can't load its data set {name!r}: {error}. Without a network, put "
            "its files into the folder datasets of KERAS_HOME (~/.keras by default), "
            "or give a folder of images."
        ) from error
    for role, (pixels, labels) in zip((TRAIN_ROLE, TEST_ROLE), loaded, strict=True):
        yield pixels, [names[int(label)] for label in np.ravel(labels)], role


def _to_png(pixels: np.ndarray[Any, Any]) -> bytes:
    """Encode uint8 pixels (H, W) or (H, W, 3) without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
