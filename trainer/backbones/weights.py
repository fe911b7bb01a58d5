"""Find pretrained weights, check them against the architecture, and load them.

Weights come from the first of these sources that applies:

1. the file or URI that the config names,
2. the package that the preset names,
3. Keras's download into its cache (`KERAS_HOME`).

A backbone has random weights only if the config says `weights: none`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from graft.contract.errors import WeightsError
from graft.storage import atomic, copying, hashing
from graft.storage.paths import is_remote, name_of, scheme_of
from graft.trainer.backbones.efficientnet_lite import load_torch_weights
from graft.trainer.backbones.presets import Preset
from graft.trainer.backbones.torch_checkpoint import read_torch_checkpoint
from graft.trainer.backbones.weight_files import find_local_weights, keras_cache
from graft.trainer.config import ModelConfig

RANDOM_WEIGHTS = "none"
"""Value of `model.weights` in a config for random weights."""

_HEADER_BYTES = {b"\x89HDF": "h5", b"PK\x03\x04": "keras"}
_MIN_KERNEL_RANK = 2


def load_weights(network: keras.Model, preset: Preset, config: ModelConfig) -> None:
    """Load the weights that the config names into a network, in place.

    Args:
        network: The architecture of `preset`, without its ImageNet head.
        preset: The default source of the weights.
        config: `weights` and `weights_sha256` are read.

    Raises:
        WeightsError: The weights are missing, damaged, or for another architecture. The
            message names the first layer that doesn't fit.
    """
    if config.weights == RANDOM_WEIGHTS:
        _fill_at_random(network)
        return
    path = find_weights(preset, config)
    if path.suffix == ".pth":
        load_torch_weights(network, read_torch_checkpoint(path))
    else:
        _load_keras_file(network, path)


def weights_digest(preset: Preset, config: ModelConfig) -> str:
    """Return the SHA-256 of the weights' file, or a fixed name for random weights."""
    if config.weights == RANDOM_WEIGHTS:
        return "random-1"
    return hashing.hash_file(str(find_weights(preset, config)))


def find_weights(preset: Preset, config: ModelConfig) -> Path:
    """Return the local file of the weights. Download it if needed, and check its hash.

    Raises:
        WeightsError: The file is missing and can't be downloaded, or its hash is wrong.
    """
    if config.weights is not None:
        path = _fetch(config.weights, config.weights_sha256)
        _check_hash(path, config.weights_sha256 and f"sha256:{config.weights_sha256}")
        return path
    local = find_local_weights(preset)
    if local is None:
        if preset.source == "package":
            raise WeightsError(
                f"the weights of {preset.name!r} come with the package "
                f"`{preset.package}`, which is not installed: install it, or name a "
                "file under `weights`"
            )
        local = _download_by_keras(preset)
    _check_hash(local, preset.weights_hash)
    return local


def _check_hash(path: Path, expected: str | None) -> None:
    """Compare a file with `algorithm:digest`. Without a hash, do nothing."""
    if not expected:
        return
    algorithm, _, digest = expected.partition(":")
    received = hashing.hash_file(str(path), algorithm)
    if received != digest:
        raise WeightsError(
            f"the weights {path} are damaged or the wrong file: their {algorithm} "
            f"must be {digest}. Received: {received}"
        )


def _fetch(location: str, sha256: str | None) -> Path:
    """Return a local path for a path or URI."""
    if not is_remote(location):
        path = Path(location).expanduser()
        if not path.is_file():
            raise WeightsError(
                f"`weights` names a file that does not exist. Received: {location!r}"
            )
        return path
    if sha256 is None:
        raise WeightsError(
            "weights from a URI need `weights_sha256`, so that every run uses the same "
            f"file. Received: weights={location!r}"
        )
    name = f"{sha256[:16]}-{name_of(location)}"
    path = keras_cache() / name
    if path.is_file() and hashing.hash_file(str(path)) == sha256:
        return path
    try:
        if scheme_of(location) in ("http", "https", "file"):
            import urllib.request

            with atomic.replacing(str(path)) as written:
                urllib.request.urlretrieve(location, written)  # noqa: S310
        else:
            copying.copy_file(location, str(path))
    except Exception as error:
        raise WeightsError(f"can't fetch the weights {location}: {error}") from error
    return path


def _download_by_keras(preset: Preset) -> Path:
    """Let Keras download a model's weights into its cache, and return the file."""
    before = set(keras_cache().glob("*")) if keras_cache().is_dir() else set()
    try:
        getattr(keras.applications, preset.constructor)(
            include_top=False, weights="imagenet"
        )
    except Exception as error:
        raise WeightsError(
            f"the weights of {preset.name!r} are not here and can't be downloaded "
            f"({error}): put {preset.weights_file or 'them'} into {keras_cache()}, "
            "name a file under `weights`, or use a preset whose weights are a package"
        ) from error
    local = find_local_weights(preset)
    if local is not None:
        return local
    new = set(keras_cache().glob("*notop*")) - before
    if len(new) != 1:
        raise WeightsError(
            f"can't tell which file of {keras_cache()} holds the weights of "
            f"{preset.name!r}: name it under `weights`"
        )
    return new.pop()


def _fill_at_random(network: keras.Model) -> None:
    """Set all kernels to random values. They are the same in every process."""
    for index, weight in enumerate(network.weights):
        if len(weight.shape) < _MIN_KERNEL_RANK:
            continue
        fan_in = max(1, int(np.prod(weight.shape[:-1])))
        values = np.random.default_rng([0, index]).standard_normal(
            tuple(weight.shape), np.float32
        )
        weight.assign(values * np.float32(np.sqrt(2.0 / fan_in)))


# --- Files of Keras -------------------------------------------------------------------
def _load_keras_file(network: keras.Model, path: Path) -> None:
    with path.open("rb") as file:
        kind = _HEADER_BYTES.get(file.read(4))
    if kind is None:
        raise WeightsError(
            f"{path} is neither an HDF5 file nor a Keras archive; allowed: .h5, "
            ".weights.h5, .keras"
        )
    try:
        rows = _read_archive(path) if kind == "keras" else _read_h5(path)
        if rows is None:
            network.load_weights(str(path))
            return
    except OSError as error:
        raise WeightsError(f"the weights {path} are damaged: {error}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"the weights {path} are for another architecture: "
            f"{_first_misfit(network, path) or error}"
        ) from error
    _assign_in_order(network, rows, path)


def _first_misfit(network: keras.Model, path: Path) -> str:
    """Describe the first layer that a file in Keras 3's format doesn't fit.

    Keras's own message lists a hundred layers and the values of an array. Returns an
    empty text if the layer can't be found.
    """
    try:
        for weight in network.weights:
            weight.assign(np.full(weight.shape, np.nan, np.float32))
        network.load_weights(str(path), skip_mismatch=True)
    except Exception:
        return ""
    for layer in network.layers:
        if any(np.isnan(array).any() for array in layer.get_weights()):
            shapes = [tuple(weight.shape) for weight in layer.weights]
            return (
                f"the first layer that does not fit is `{layer.name}`, which needs "
                f"shapes {shapes}"
            )
    return ""


def _read_archive(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    if not zipfile.is_zipfile(path):
        raise OSError("the archive's table of contents, at its end, is missing")
    model = keras.models.load_model(path, compile=False)
    return [
        (layer.name, layer.get_weights())
        for layer in _flat_layers(model)
        if layer.weights
    ]


def _flat_layers(model: keras.Model) -> list[keras.layers.Layer]:
    layers = []
    for layer in model.layers:
        layers.extend(
            _flat_layers(layer) if isinstance(layer, keras.Model) else [layer]
        )
    return layers


def _read_h5(path: Path) -> list[tuple[str, list[np.ndarray]]] | None:
    """Read the layers of an HDF5 file of Keras 1 or 2; None for Keras 3's format."""
    import h5py

    with h5py.File(path, "r") as file:
        group: Any = file["model_weights"] if "model_weights" in file else file
        if "layer_names" not in group.attrs:
            return None
        rows = []
        for name in group.attrs["layer_names"]:
            layer = group[name]
            arrays = [np.asarray(layer[key]) for key in layer.attrs["weight_names"]]
            if arrays:
                rows.append(
                    (name.decode() if isinstance(name, bytes) else name, arrays)
                )
        return rows


def _assign_in_order(
    network: keras.Model, rows: list[tuple[str, list[np.ndarray]]], path: Path
) -> None:
    """Assign weights layer by layer. Rows left at the end are the file's own head."""
    layers = [layer for layer in network.layers if layer.weights]
    for index, layer in enumerate(layers):
        name, arrays = rows[index] if index < len(rows) else ("nothing", [])
        expected = [tuple(weight.shape) for weight in layer.weights]
        received = [tuple(array.shape) for array in arrays]
        if expected != received:
            raise WeightsError(
                f"the weights {path} are for another architecture: the first layer "
                f"that does not fit is `{layer.name}`, which needs shapes {expected}. "
                f"Received: `{name}` with {received}"
            )
    for layer, (_, arrays) in zip(layers, rows, strict=False):
        layer.set_weights(arrays)
