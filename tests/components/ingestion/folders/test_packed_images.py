"""Files that hold many images each are named, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.components.ingestion.folders.packed_images import explain_packed_images
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError

_BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]
_IDX = [
    f"{split}-{what}-ubyte"
    for split in ("train", "t10k")
    for what in ("images-idx3", "labels-idx1")
]


@pytest.mark.parametrize(
    ("names", "mend"),
    [
        ([f"cifar-10-batches-py/{name}" for name in _BATCHES], "keras:cifar10"),
        ([*_BATCHES, "readme.html"], "keras:cifar10"),
        ([f"x/y/{name}.bin" for name in _BATCHES[:6]], "keras:cifar10"),
        ([f"{name}.mat" for name in _BATCHES], "keras:cifar10"),
        ([f"cifar-100-python/{name}" for name in ("train", "test", "meta")],
         "keras:cifar100"),
        ([f"MNIST/raw/{name}" for name in _IDX], "keras:mnist"),
        ([f"{name}.gz" for name in _IDX], "keras:mnist"),
        ([name.replace("-idx", ".idx") for name in _IDX], "keras:mnist"),
        ([f"data/fashion/{name}.gz" for name in _IDX], "keras:fashion_mnist"),
        ([f"fashion-mnist/{name}" for name in _IDX], "keras:fashion_mnist"),
        ([f"emnist-letters-{name}.gz" for name in _IDX], "a PNG or JPEG file"),
        (["mnist.npz"], "keras:mnist"),
        (["stl10/train_X.bin", "stl10/train_y.bin"], "a PNG or JPEG file"),
        (["x_train.npy", "y_train.npy", "README.md"], "a PNG or JPEG file"),
        (["train_32x32.mat", "test_32x32.mat"], "a PNG or JPEG file"),
        (["train/0.parquet", "test/0.parquet"], "a PNG or JPEG file"),
        (["data.mdb", "lock.mdb"], "a PNG or JPEG file"),
        (["photos.h5", "labels.txt"], "a PNG or JPEG file"),
        (["train.zip", "test.zip", "labels.csv"], "Unpack them"),
        (["cifar-10-python.tar.gz"], "Unpack them"),
    ],
)  # fmt: skip
def test_files_of_many_images_are_named(
    tmp_path: Path, names: list[str], mend: str
) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with pytest.raises(DataError) as stopped:
        list_images(DataConfig(path=str(tmp_path)), "unused")
    assert mend in str(stopped.value)
    assert "which graft does not read" in str(stopped.value)


@pytest.mark.parametrize(
    "names",
    [
        ["cat/1.jpg", "dog/1.jpg", "features.npy"],
        ["cat/1.jpg", "dog/1.jpg", "photos.zip"],
        ["train/1", "test/2", "train/3"],
        ["data_batch_1/1.jpg", "data_batch_2/2.jpg"],
        ["README.md", "list.csv"],
        ["train/a-00000-of-00001.gz", "test/a-00000-of-00001.gz"],
        [],
    ],
)
def test_files_beside_images_are_no_question(names: list[str]) -> None:
    assert explain_packed_images(names) is None
