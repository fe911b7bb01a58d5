"""Readable images, compared with the decoder of training."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from graft.components.ingestion.readability import examine
from graft.components.ingestion.sources.image_ref import ImageRef, read_bytes
from graft.contract.example_keys import IMAGE_FORMATS
from graft.trainer.decoding.from_bytes import check_pixels, decode_pixels

Make = Callable[..., bytes]


def _check(encoded: bytes, max_pixels: int = 10**6) -> str:
    """Return "" for a readable image, else the reason."""
    try:
        check_pixels(encoded, examine(encoded, max_pixels).header.format)
    except ValueError as error:
        return str(error)
    return ""


def _reason_of_training(encoded: bytes) -> str:
    try:
        decode_pixels(encoded)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("image_format", IMAGE_FORMATS)
@pytest.mark.parametrize("damage", ["none", "cut", "cut in the head", "overwritten"])
def test_it_agrees_with_the_decoder_of_training(
    make_image: Make, image_format: str, damage: str
):
    encoded = make_image(1, (40, 50), image_format.upper())
    if damage == "cut":
        encoded = encoded[: len(encoded) * 3 // 4]
    elif damage == "cut in the head":
        encoded = encoded[:20]
    elif damage == "overwritten":
        half = len(encoded) // 2
        encoded = encoded[:half] + bytes(64) + encoded[half + 64 :]
    reason = _reason_of_training(encoded)
    assert _check(encoded) == reason
    assert damage != "none" or not reason


@pytest.mark.parametrize("image_format", IMAGE_FORMATS)
def test_random_damage_gets_a_reason_and_never_another_error(
    make_image: Make, image_format: str
):
    encoded = make_image(2, (24, 24), image_format.upper())
    chance = random.Random(image_format)
    for _ in range(60):
        damaged = bytearray(encoded)
        for _ in range(chance.choice([1, 4, 16])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        cut = bytes(damaged[: chance.randrange(1, len(damaged) + 1)])
        reason = _check(cut)
        assert "\n" not in reason
        # A header may be wrong, so compare only images that can be decoded.
        if "too many pixels" not in reason:
            assert reason == _reason_of_training(cut)


def test_a_bomb_is_refused_by_its_header():
    buffer = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(buffer, format="PNG")
    assert len(buffer.getvalue()) < 100_000
    assert "of more than 178956970 pixels" in _check(buffer.getvalue())


def test_the_first_frame_of_an_animation_counts():
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (100, 100), (n, 0, 0)) for n in range(20)]
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    assert _check(buffer.getvalue(), 10_000) == ""
    assert "too many pixels: 100x100" in _check(buffer.getvalue(), 9_999)


@pytest.mark.parametrize("canvas", [(300, 200), (10, 20)])
def test_the_canvas_of_a_gif_counts(canvas: tuple[int, int]):
    """The canvas is decoded, and holds at least the first frame."""
    buffer = io.BytesIO()
    Image.new("RGB", (100, 100)).save(buffer, format="GIF")
    encoded = bytearray(buffer.getvalue())
    encoded[6:10] = struct.pack("<HH", *canvas)
    width, height = (max(side, 100) for side in canvas)
    assert decode_pixels(bytes(encoded)).shape == (height, width, 3)
    assert _check(bytes(encoded), width * height) == ""
    refusal = _check(bytes(encoded), width * height - 1)
    assert f"too many pixels: {width}x{height}" in refusal


def test_a_file_that_must_not_be_read(unprivileged, make_image: Make):
    path = unprivileged / "a.png"
    path.write_bytes(make_image(0))
    path.chmod(0)
    ref = ImageRef(str(path), "a.png", "a", "x", ("train",), path.stat().st_size)
    with pytest.raises(ValueError, match="can't be read: Permission denied"):
        read_bytes(ref, 1000)


@pytest.mark.parametrize("size", [2000, None], ids=["known", "unknown"])
def test_a_huge_file_is_not_read(tmp_path, size: int | None):
    (tmp_path / "a.png").write_bytes(bytes(2000))
    ref = ImageRef(str(tmp_path / "a.png"), "a.png", "a", "x", ("train",), size)
    with pytest.raises(ValueError, match=r"file too large.*`max_file_bytes` is 1999"):
        read_bytes(ref, 1999)
