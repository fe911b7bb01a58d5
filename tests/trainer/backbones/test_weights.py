"""The sources of weights, and the errors of unusable ones."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from graft.contract.errors import WeightsError
from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.backbones.presets import get_preset
from graft.trainer.backbones.torch_checkpoint import read_torch_checkpoint
from graft.trainer.backbones.weight_files import find_local_weights
from graft.trainer.config import ModelConfig

_VGG = {"preset": "vgg16", "image_size": 32, "pooling": "none"}


@pytest.fixture(scope="module")
def vgg() -> keras.Model:
    """Build VGG16 with random weights unlike those of `weights: none`."""
    keras.utils.set_random_seed(7)
    return keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )


def _write_legacy(model: keras.Model, path: Path) -> None:
    """Write the HDF5 layout of Keras 2, as the published files have it."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, layer.get_weights(), strict=True):
                group[name] = array


@pytest.mark.parametrize("kind", ["legacy.h5", "new.weights.h5", "whole.keras"])
def test_every_kind_of_file_is_loaded(
    vgg: keras.Model, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "legacy.h5":
        _write_legacy(vgg, path)
    elif kind == "new.weights.h5":
        vgg.save_weights(path)
    else:
        vgg.save(path)
    backbone = build_backbone(ModelConfig(**_VGG, weights=str(path)))
    for expected, received in zip(vgg.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(expected.numpy(), received.numpy())


def test_other_architecture_names_the_first_layer(tmp_path: Path) -> None:
    path = tmp_path / "vgg19.h5"
    other = keras.applications.VGG19(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    _write_legacy(other, path)
    with pytest.raises(WeightsError, match=r"`block4_conv1`.*`block3_conv4`"):
        build_backbone(ModelConfig(**_VGG, weights=str(path)))


def test_truncated_file(vgg: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    _write_legacy(vgg, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="damaged"):
        build_backbone(ModelConfig(**_VGG, weights=str(path)))


@pytest.mark.parametrize("suffix", ["weights.h5", "keras"])
def test_truncated_file_of_keras_3(
    vgg: keras.Model, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"cut.{suffix}"
    (vgg.save_weights if suffix == "weights.h5" else vgg.save)(path)
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(WeightsError, match=r"are damaged: (?!.*not found)"):
        build_backbone(ModelConfig(**_VGG, weights=str(path)))


def test_other_architecture_of_keras_3_names_the_first_layer(tmp_path: Path) -> None:
    path = tmp_path / "vgg19.weights.h5"
    keras.applications.VGG19(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    ).save_weights(path)
    with pytest.raises(WeightsError) as caught:
        build_backbone(ModelConfig(**_VGG, weights=str(path)))
    message = str(caught.value)
    assert "first layer that does not fit is `block4_conv1`" in message
    assert len(message) < 400


def test_file_that_holds_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "page.h5"
    path.write_text("<html>404</html>")
    with pytest.raises(WeightsError, match="neither"):
        build_backbone(ModelConfig(**_VGG, weights=str(path)))


def test_wrong_hash(tmp_path: Path) -> None:
    path = tmp_path / "any.h5"
    path.write_bytes(b"\x89HDF")
    config = ModelConfig(**_VGG, weights=str(path), weights_sha256="0" * 64)
    with pytest.raises(WeightsError, match="sha256 must be 000"):
        build_backbone(config)


def test_missing_file() -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        build_backbone(ModelConfig(**_VGG, weights="nowhere.h5"))


def test_uri_needs_a_hash() -> None:
    with pytest.raises(WeightsError, match="weights_sha256"):
        build_backbone(ModelConfig(**_VGG, weights="gs://bucket/vgg16.h5"))


def test_uri_is_fetched_once(
    vgg: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    path = tmp_path / "vgg.h5"
    _write_legacy(vgg, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    config = ModelConfig(**_VGG, weights=f"file://{path}", weights_sha256=digest)
    build_backbone(config)
    path.unlink()
    build_backbone(config)


def test_weights_that_are_not_here_are_never_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file in Keras's cache is damaged: no fall-back to random weights."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    cached = tmp_path / "models" / str(get_preset("vgg16").weights_file)
    cached.parent.mkdir()
    cached.write_bytes(b"half a download")
    with pytest.raises(WeightsError, match="md5"):
        build_backbone(ModelConfig(**_VGG))


@pytest.fixture
def lite0() -> Path:
    """Find the checkpoint of EfficientNet-Lite0, which setup.py asks for."""
    path = find_local_weights(get_preset("efficientnet_lite0"))
    assert path is not None
    return path


def test_truncated_checkpoint(lite0: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(lite0.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="truncated"):
        read_torch_checkpoint(path)


def test_checkpoint_can_run_no_code(lite0: Path, tmp_path: Path) -> None:
    """A pickle that would delete a file is refused before it does."""
    victim = tmp_path / "victim"
    victim.touch()

    class Malice:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.unlink, (victim,)

    path = tmp_path / "malice.pth"
    header = b"".join(
        pickle.dumps(value, 2)
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    path.write_bytes(header + pickle.dumps({"weight": Malice()}))
    with pytest.raises(WeightsError, match="has no place in a state dict"):
        read_torch_checkpoint(path)
    assert victim.exists()


def test_checkpoint_of_another_size_names_the_layer(
    lite0: Path, tmp_path: Path
) -> None:
    path = tmp_path / "lite0.pth"
    shutil.copy(lite0, path)
    with pytest.raises(WeightsError, match="block2c_dwconv"):
        build_backbone(ModelConfig(preset="efficientnet_lite1", weights=str(path)))
