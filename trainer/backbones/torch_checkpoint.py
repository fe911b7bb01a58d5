"""Read a PyTorch checkpoint of the format before 1.6 (not a zip file), without PyTorch.

The file starts with five pickles: a magic number, a protocol version, facts about the
machine, the state dict, and the list of storage keys. Then come the raw storages in the
order of that list. Each follows its number of elements, a little-endian int64. Tensors
refer to their storage by a persistent id and may have any strides.

PyTorch reads such files, but it would be a second framework to install for one file.

Unpickling can run any code that the file names. So the unpickler allows only the names
that a state dict needs, and rejects all others before it calls them.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from graft.contract.errors import WeightsError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


class _TensorRecord:
    """A tensor's storage key and dtype, offset, shape and strides."""

    def __init__(self, storage: tuple[Any, ...], offset: int, *layout: Any) -> None:
        self.dtype, self.key = storage
        self.offset = int(offset)
        self.shape = tuple(int(size) for size in layout[0])
        self.strides = tuple(int(step) for step in layout[1])


class _StateDictUnpickler(pickle.Unpickler):
    """An unpickler that allows only ordered dicts, tensors and their storages."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _TensorRecord
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a state dict")

    def persistent_load(self, reference: Any) -> tuple[Any, str]:
        kind, dtype, key, *_, view = reference
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"unknown reference {reference!r}")
        return dtype, str(key)


def read_torch_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Read the state dict of an old PyTorch checkpoint.

    Args:
        path: The file.

    Returns:
        Name to array, contiguous, in the file's dtypes.

    Raises:
        WeightsError: The file is truncated, has another format, or contains an object
            that doesn't belong in a state dict.
    """
    try:
        with Path(path).open("rb") as file:
            return _read_state_dict(file)
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError) as error:
        reason = str(error) or type(error).__name__
        raise WeightsError(f"can't read the checkpoint {path}: {reason}") from error
    except (pickle.UnpicklingError, AttributeError, ImportError) as error:
        raise WeightsError(
            f"{path} is not a checkpoint of weights alone: {error}"
        ) from error


def _read_state_dict(file: BinaryIO) -> dict[str, np.ndarray]:
    def load() -> Any:
        return _StateDictUnpickler(file).load()

    if load() != _MAGIC_NUMBER or load() != _PROTOCOL_VERSION:
        raise ValueError("not a PyTorch file of the format before 1.6")
    if not load()["little_endian"]:
        raise ValueError("big-endian checkpoints are not supported")
    state = load()
    records = {
        name: record
        for name, record in state.items()
        if isinstance(record, _TensorRecord)
    }
    dtypes = {record.key: record.dtype for record in records.values()}
    storages = {}
    for key in load():
        storages[key] = _read_storage(file, dtypes[key])
    return {name: _lay_out(record, storages) for name, record in records.items()}


def _read_storage(file: BinaryIO, dtype: np.dtype[Any]) -> np.ndarray:
    header = file.read(8)
    count = int.from_bytes(header, "little")
    content = file.read(count * dtype.itemsize)
    if len(header) < 8 or len(content) < count * dtype.itemsize:
        raise ValueError("the file is truncated")
    return np.frombuffer(content, dtype)


def _lay_out(record: _TensorRecord, storages: dict[str, np.ndarray]) -> np.ndarray:
    """Copy a tensor out of its storage, which may have any strides."""
    storage = storages[record.key]
    last = record.offset + sum(
        (size - 1) * step
        for size, step in zip(record.shape, record.strides, strict=True)
    )
    if min((record.offset, *record.strides)) < 0 or last >= storage.size:
        raise ValueError(f"a tensor of shape {record.shape} exceeds its storage")
    view = np.lib.stride_tricks.as_strided(
        storage[record.offset :],
        shape=record.shape,
        strides=tuple(step * storage.itemsize for step in record.strides),
        writeable=False,
    )
    return np.ascontiguousarray(view)
