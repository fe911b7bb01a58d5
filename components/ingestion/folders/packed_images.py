"""Recognize files that each hold many images: arrays, databases and archives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from graft.components.ingestion.sources.layout import is_record_name
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree, counted
from graft.storage.left_aside import kind_of_file


class _Kind(NamedTuple):
    """A kind of such files.

    Attributes:
        names: A regular expression of their paths.
        what: What they are.
        mend: What to do.
    """

    names: re.Pattern[str]
    what: str
    mend: str


def _kind(names: str, what: str, mend: str) -> _Kind:
    return _Kind(re.compile(rf"(?:.*/)?(?:{names})", re.IGNORECASE), what, mend)


_PLAIN_IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
_AS_BUILT_IN = "Give `--data {}`, and Keras downloads the set."
_AS_IMAGES = (
    "Write each image as a PNG or JPEG file into a folder named after its class."
)
_PUBLISHED = (
    _kind(
        r"data_batch_\d(\.bin|\.mat)?|test_batch(\.bin|\.mat)?|batches\.meta(\.\w+)?",
        "CIFAR-10 as its authors publish it",
        _AS_BUILT_IN.format("keras:cifar10"),
    ),
    _kind(
        r"cifar-?100[^/]*/(train|test|meta)(\.bin|\.mat)?",
        "CIFAR-100 as its authors publish it",
        _AS_BUILT_IN.format("keras:cifar100"),
    ),
    _kind(
        r"(.*/)?[^/]*fashion.*(images|labels)[-.]idx\d-ubyte(\.gz)?",
        "Fashion-MNIST as its authors publish it",
        _AS_BUILT_IN.format("keras:fashion_mnist"),
    ),
    _kind(
        r"(train|t10k)-(images|labels)[-.]idx\d-ubyte(\.gz)?|mnist\.(npz|pkl|pkl\.gz)",
        "MNIST as its authors publish it",
        _AS_BUILT_IN.format("keras:mnist")
        + " If it is another set in this form, write each image as a PNG file into a "
        "folder named after its class.",
    ),
    _kind(
        r".*(images|labels)[-.]idx\d-ubyte(\.gz)?",
        "arrays of images in MNIST's form",
        _AS_IMAGES,
    ),
    _kind(
        r"(train|test|unlabeled)_[xy]\.bin|fold_indices\.txt",
        "arrays of images in STL-10's form",
        _AS_IMAGES,
    ),
)
_GENERAL = (
    _kind(
        r".*\.(npz|npy|mat|h5|hdf5|pkl|pickle|pt|pth)(\.gz)?",
        "arrays, which may hold many images each",
        _AS_IMAGES,
    ),
    _kind(
        r".*\.(parquet|arrow|feather|lmdb|mdb|rec|sqlite|db|beton)",
        "tables or databases, which may hold many images each",
        _AS_IMAGES,
    ),
    _kind(
        r".*\.(zip|tar|gz|tgz|bz2|xz|zst|7z|rar)",
        "archives",
        "Unpack them, and give the folder that they hold.",
    ),
)


def explain_packed_images(names: Sequence[str]) -> str | None:
    """Say which files of a data set hold many images each, if no other file holds one.

    Args:
        names: The paths of all files, relative to the data set.

    Returns:
        What they are and what to do; None if they aren't most of the files.
    """
    plain = sum(name.lower().endswith(_PLAIN_IMAGES) for name in names)
    if 2 * plain > len(names) or any(map(is_record_name, names)):
        return None  # these can be read
    images = [name for name in names if kind_of_file(name.rpartition("/")[2]) is None]
    for kinds, share in ((_PUBLISHED, 0.5), (_GENERAL, 1.0)):
        for kind in kinds:
            found = [name for name in names if kind.names.fullmatch(name)]
            others = len(set(images).difference(found))
            if found and len(found) >= share * (len(found) + others):
                number = len(found)
                return (
                    f"{counted(number, 'file')} ({some_of(sorted(found))}) "
                    f"{agree(number, 'is', 'are')} {kind.what}, which graft does not "
                    f"read. {kind.mend}"
                )
    return None
