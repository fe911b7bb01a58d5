"""Image files of any origin look as a user expects."""

from __future__ import annotations

import io
import resource
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from graft.trainer.decoding.from_bytes import (
    ImageHeader,
    check_pixels,
    decode_pixels,
    read_header,
)
from graft.trainer.decoding.images import decode_image

_ORIENTATION_TAG = 274
_MAKER_TAG = 271
# The same pixels as in Pillow: both use the exact transform of libjpeg.
_JPEG_TOLERANCE = 0

_decode = tf.function(
    decode_image,
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
)


def _check(encoded: bytes) -> ImageHeader:
    header = read_header(encoded)
    check_pixels(encoded, header.format)
    return header


def _as_shown(encoded: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    return np.asarray(image.convert("RGB")).astype(int)


def _decoded(encoded: bytes) -> np.ndarray:
    return _decode(tf.constant(encoded)).numpy().astype(int)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_exif_orientation_stands_upright(picture, encode, orientation, byte_order):
    exif = Image.Exif()
    exif.endian = "<" if byte_order == "little" else ">"
    exif[_MAKER_TAG] = "maker"
    exif[_ORIENTATION_TAG] = orientation
    encoded = encode(picture, "JPEG", quality=95, exif=exif.tobytes())
    expected = _as_shown(encoded)
    assert np.abs(_decoded(encoded) - expected).max() <= _JPEG_TOLERANCE
    assert read_header(encoded) == ImageHeader("jpeg", *expected.shape[:2])


def test_a_broken_exif_orientation_is_ignored(picture, encode):
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = 77
    encoded = encode(picture, "JPEG", quality=95, exif=exif.tobytes())
    assert _decoded(encoded).shape == (120, 200, 3)


@pytest.mark.parametrize(
    ("mode", "image_format", "options"),
    [
        ("RGB", "PNG", {}),
        ("L", "PNG", {}),
        ("LA", "PNG", {}),
        ("P", "PNG", {}),
        ("1", "PNG", {}),
        ("RGB", "GIF", {}),
        ("RGB", "BMP", {}),
        ("L", "BMP", {}),
        ("RGBA", "BMP", {}),
        ("RGB", "WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_become_the_same_rgb(
    picture, encode, mode, image_format, options
):
    encoded = encode(picture.convert(mode), image_format, **options)
    np.testing.assert_array_equal(_decoded(encoded), _as_shown(encoded))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_colour_spaces_become_rgb(picture, encode, mode):
    encoded = encode(picture.convert(mode), "JPEG", quality=95)
    assert np.abs(_decoded(encoded) - _as_shown(encoded)).max() <= _JPEG_TOLERANCE


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("quality", [90, 100])
def test_fine_textures_of_a_jpeg_are_exact(encode, mode, quality):
    """An inexact transform changes a noise of black and white by up to 255 steps."""
    noise = np.random.default_rng(0).integers(0, 2, (64, 64, 3), np.uint8) * 255
    encoded = encode(Image.fromarray(noise).convert(mode), "JPEG", quality=quality)
    expected = _as_shown(encoded)
    np.testing.assert_array_equal(_decoded(encoded), expected)
    np.testing.assert_array_equal(decode_pixels(encoded), expected)


def test_16_bit_png_keeps_its_shades(encode):
    deep = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    encoded = encode(Image.fromarray(deep), "PNG")
    assert np.abs(_decoded(encoded)[..., 0] - deep // 257).max() <= 1


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_transparency_becomes_white(encode, image_format):
    half = np.zeros((8, 8, 4), np.uint8)
    half[:4] = (255, 0, 0, 255)
    half[4:] = (0, 0, 0, 0)
    options = {"lossless": True} if image_format == "WEBP" else {}
    pixels = _decoded(encode(Image.fromarray(half), image_format, **options))
    assert (pixels[:4] == (255, 0, 0)).all()
    assert (pixels[4:] == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_every_shade_of_transparency_is_blended(encode, mode):
    # All pairs of a shade and an opacity; more rows than are blended at once.
    shade, alpha = np.meshgrid(np.arange(256), np.arange(256))
    channels = [shade, 255 - shade, shade // 2] if mode == "RGBA" else [shade]
    image = np.stack([*channels, alpha], axis=-1).astype(np.uint8)
    pixels = _decoded(encode(Image.fromarray(image, mode), "PNG"))
    colour = np.broadcast_to(image[..., :-1], (256, 256, 3)).astype(float)
    opacity = image[..., -1:] / 255
    exact = colour * opacity + 255 * (1 - opacity)
    assert np.abs(pixels - exact).max() <= 0.5 + 1e-3


def test_an_opaque_alpha_channel_changes_nothing(picture, encode):
    with_alpha = picture.convert("RGBA")
    np.testing.assert_array_equal(
        _decoded(encode(with_alpha, "PNG")), np.asarray(picture.convert("RGB"))
    )


def test_the_first_frame_of_an_animated_gif_counts(picture, encode):
    frames = {"save_all": True, "append_images": [ImageOps.invert(picture)]}
    encoded = encode(picture, "GIF", **frames)
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    np.testing.assert_array_equal(_decoded(encoded), expected)


@pytest.mark.parametrize("is_lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_animated_webp_is_refused_and_ends_no_process(
    picture, encode, mode, is_lossless
):
    image = picture.convert(mode)
    if mode == "RGBA":
        image.putalpha(128)
    encoded = encode(
        image,
        "WEBP",
        save_all=True,
        append_images=[image.rotate(180)],
        lossless=is_lossless,
    )
    with pytest.raises(ValueError, match="animated WebP"):
        read_header(encoded)
    with pytest.raises(tf.errors.InvalidArgumentError, match="animated WebP"):
        _decode(tf.constant(encoded))


@pytest.mark.parametrize("is_lossless", [False, True])
def test_a_webp_with_alpha_lies_on_white(picture, encode, is_lossless):
    image = picture.convert("RGBA")
    image.putalpha(0)
    encoded = encode(image, "WEBP", lossless=is_lossless)
    assert (_decoded(encoded) == 255).all()


@pytest.mark.parametrize(
    ("size", "target", "decoded"),
    [
        ((400, 400), 224, (400, 400)),
        ((671, 700), 224, (700, 671)),
        ((672, 700), 224, (350, 336)),
        ((900, 900), 224, (450, 450)),
        ((1800, 900), 224, (450, 900)),
        ((2000, 2000), 224, (500, 500)),
        ((4000, 4000), 224, (500, 500)),
    ],
)
def test_a_large_jpeg_is_decoded_at_a_smaller_scale(encode, size, target, decoded):
    encoded = encode(Image.new("RGB", size), "JPEG")
    pixels = decode_image(tf.constant(encoded), target_size=(target, target))
    assert pixels.shape[:2] == decoded


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "empty file"),
        (b"these are words, not pixels", "not an image"),
        (b"\xff\xd8\xff", "damaged JPEG"),
    ],
)
def test_the_header_says_why_bytes_are_no_image(encoded, reason):
    with pytest.raises(ValueError, match=reason):
        read_header(encoded)


def _with_frames(encode, count: int, size: tuple[int, int] = (1000, 1000)) -> bytes:
    """Return a GIF of `count` red frames; `size` is written over the true one."""
    encoded = encode(Image.new("RGB", (1000, 1000), (200, 10, 10)), "GIF")
    true_size = struct.pack("<HH", 1000, 1000)
    start = encoded.index(b",\0\0\0\0" + true_size)
    frames = encoded[:start] + encoded[start:-1] * count + b";"
    return frames.replace(true_size, struct.pack("<HH", *size))


def test_the_other_frames_of_a_gif_take_no_memory(encode):
    # All unpacked they are 3.2 GB.
    encoded = tf.constant(_with_frames(encode, 800))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (_decode(encoded).numpy() == [200, 10, 10]).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("is_progressive", [False, True])
def test_a_blank_jpeg_has_bytes_enough_for_its_size(encode, mode, is_progressive):
    """No encoder needs fewer bytes for a pixel than for a blank picture."""
    for colour in ("white", "black"):
        image = Image.new(mode, (4096, 4096), colour)
        encoded = encode(
            image,
            "JPEG",
            optimize=True,
            quality=1,
            subsampling=2,
            progressive=is_progressive,
        )
        assert read_header(encoded) == ImageHeader("jpeg", 4096, 4096)
        assert np.ptp(decode_pixels(encoded, (64, 64))) == 0
        assert np.ptp(_decoded(encoded)) == 0


def test_a_gif_that_says_to_be_huge_is_refused(encode):
    encoded = tf.constant(_with_frames(encode, 1, size=(60_000, 60_000)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="a GIF of more than"):
        _decode(encoded)


@pytest.mark.parametrize("further", [{}, {"exif": b"Exif\0\0MM\0*"}])
def test_a_png_that_says_to_be_huge_is_not_decoded(picture, encode, further):
    encoded = bytearray(encode(picture, "PNG", **further))
    encoded[16:24] = struct.pack(">II", 13_000, 13_000)
    assert read_header(bytes(encoded)).height == 13_000
    encoded[16:24] = struct.pack(">II", 20_000, 20_000)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a PNG of more than"):
        _decode(bytes(encoded))
    with pytest.raises(ValueError, match="a PNG of more than"):
        read_header(bytes(encoded))


def test_a_webp_that_says_to_be_huge_is_not_decoded(picture, encode):
    encoded = bytearray(encode(picture, "WEBP"))
    encoded[26:30] = struct.pack("<HH", 16_383, 16_383)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a WebP of more than"):
        _decode(bytes(encoded))


def test_a_gif_that_ends_in_its_second_frame_is_read(encode):
    encoded = _with_frames(encode, 2)
    assert _decoded(encoded[:-500]).shape == (1000, 1000, 3)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_truncated_file_is_refused_with_a_reason(picture, encode, image_format):
    encoded = encode(picture, image_format)
    with pytest.raises(ValueError, match=f"(?i)damaged|{image_format}"):
        _check(encoded[: len(encoded) * 2 // 3])


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_whole_file_passes_the_check(picture, encode, image_format):
    header = _check(encode(picture, image_format))
    assert header == ImageHeader(image_format.lower(), 120, 200)


def test_a_format_that_serving_can_not_decode_is_refused(picture, encode):
    with pytest.raises(ValueError, match="TIFF is not supported"):
        read_header(encode(picture, "TIFF"))


def test_the_colours_of_a_bmp_with_a_palette_are_read(picture, encode):
    encoded = encode(picture.convert("P"), "BMP")
    np.testing.assert_array_equal(_decoded(encoded), _as_shown(encoded))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("target", [None, 40, 200])
def test_usual_files_give_the_pixels_of_the_graph(encode, image_format, target):
    image = Image.effect_mandelbrot((400, 500), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    encoded = encode(image, image_format)
    size = None if target is None else (target, target)
    pixels = decode_image(tf.constant(encoded), target_size=size)
    np.testing.assert_array_equal(decode_pixels(encoded, size), pixels)


def test_decoding_no_image_is_an_invalid_argument():
    with pytest.raises(tf.errors.InvalidArgumentError, match="not an image"):
        _decode(tf.constant(b"words"))


def test_a_damaged_jpeg_changes_no_other_image(picture, encode):
    """libjpeg writes lines about its state after an error, but keeps no state."""
    random = np.random.default_rng(5)
    files = [encode(picture, "JPEG", quality=q, progressive=q > 60) for q in (50, 90)]
    for whole in list(files):
        files.append(whole[: len(whole) // 2])
        files.append(whole[: len(whole) // 2] + b"\xff\xd9")
        for place in random.integers(150, len(whole) - 2, 12):
            files.append(whole[:place] + b"\x5a" + whole[place + 1 :])

    def answer(encoded: bytes) -> bytes | str:
        try:
            return decode_pixels(encoded).tobytes()
        except ValueError as error:
            return str(error)

    answers = [answer(encoded) for encoded in files]
    assert {type(each) for each in answers} == {bytes, str}
    for index in random.permutation(len(files)):
        assert answer(files[index]) == answers[index]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(answer, files)) == answers
