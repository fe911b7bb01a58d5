"""Decode one image in Python, with the same pixels and refusals as the exported model.

Calling the graph takes longer than decoding a small image. So common files are parsed
in Python and decoded by single TensorFlow operations. The graph decodes all others, and
only the graph refuses files.

Pillow would decode more formats, but not with the pixels of the exported model.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from graft.contract.example_keys import IMAGE_FORMATS
from graft.contract.signature_names import REFUSAL_MARK
from graft.trainer.decoding import formats
from graft.trainer.decoding.images import decode_image, format_index, inspect_image
from graft.trainer.decoding.jpeg import PIXELS_PER_BYTE, SCALES, read_pixels

_SIGNATURE = [tf.TensorSpec([], tf.string)]
_PNG_OPAQUE = (0, 2, 3)
_PNG_START = b"\x89PNG\r\n\x1a\n"

# JPEG markers: JFIF, tables, comments and profiles; common frames; the scan.
_HARMLESS_MARKERS = frozenset({0xE0, 0xE2, 0xED, 0xDB, 0xC4, 0xDD, 0xFE})
_FRAME_MARKERS = frozenset({0xC0, 0xC1, 0xC2})
_SCAN_MARKER = 0xDA
_APP1 = 0xE1
_EXIF_START = b"Exif\0\0"
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION_TAG = 274
_UPRIGHT = (3, 1, 1)
"""Type (a short), number of values, and value of the orientation of such an image."""


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image file.

    Attributes:
        format: One of `example_keys.IMAGE_FORMATS`.
        height: Height in pixels, after EXIF orientation.
        width: Width in pixels, after EXIF orientation.
    """

    format: str
    height: int
    width: int


def read_header(encoded: bytes) -> ImageHeader:
    """Read the header of an encoded image without decoding pixels.

    Args:
        encoded: The bytes of the file.

    Returns:
        Format and size.

    Raises:
        ValueError: The header shows that the file is refused. The message says why.
    """
    common = _read_common_header(encoded)
    if common is not None:
        return common.header
    refusal, layout, index = (each.numpy() for each in _inspect(tf.constant(encoded)))
    if refusal:
        raise ValueError(refusal.decode())
    height, width, orientation = layout.tolist()
    if orientation >= 5:
        height, width = width, height
    return ImageHeader(IMAGE_FORMATS[index], height, width)


def check_pixels(encoded: bytes, image_format: str) -> None:
    """Check that an image can be decoded.

    The check decodes the whole file with the operation of training and serving. A JPEG
    is decoded at an eighth of its scale, which still reads every entropy-coded byte.

    Args:
        encoded: The bytes of a file that passed `read_header`.
        image_format: One of `example_keys.IMAGE_FORMATS`.

    Raises:
        ValueError: The file can't be decoded. The message says why.
    """
    try:
        if image_format == "jpeg":
            read_pixels(encoded, 8)
        elif image_format == "png":
            tf.io.decode_png(encoded)
        elif image_format != "bmp":
            _decoder(None)(tf.constant(encoded))
        # A BMP isn't compressed, so its header shows whether it is complete.
    except tf.errors.OpError as error:
        raise ValueError(formats.damaged(IMAGE_FORMATS.index(image_format))) from error


def decode_pixels(
    encoded: bytes, target_size: tuple[int, int] | None = None
) -> np.ndarray:
    """Decode an image to upright RGB on white.

    Args:
        encoded: The bytes of the file.
        target_size: See `decode_image`.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: The file is refused or damaged. The message says why.
    """
    common = _read_common_header(encoded)
    try:
        if common is not None and common.is_opaque:
            return _decode_common(encoded, common.header, target_size)
        pixels: np.ndarray = _decoder(target_size)(tf.constant(encoded)).numpy()
    except tf.errors.OpError as error:
        _, found, reason = error.message.partition(REFUSAL_MARK)
        if found:
            raise ValueError(reason.splitlines()[0]) from error
        header = read_header(encoded)
        index = IMAGE_FORMATS.index(header.format)
        raise ValueError(formats.damaged(index)) from error
    return pixels


class _CommonHeader(NamedTuple):
    """Header of an upright file of a common kind, and whether it has no alpha."""

    header: ImageHeader
    is_opaque: bool


def _decode_common(
    encoded: bytes, header: ImageHeader, target_size: tuple[int, int] | None
) -> np.ndarray:
    if header.format == "png":
        pixels = tf.io.decode_png(encoded).numpy()
        return pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)
    scale = 1
    if target_size is not None:
        height, width = target_size
        room = min(2 * header.height // (3 * height), 2 * header.width // (3 * width))
        scale = max(each for each in SCALES if each <= max(room, 1))
    jpeg: np.ndarray = read_pixels(encoded, scale).numpy()
    return jpeg


def _read_common_header(encoded: bytes) -> _CommonHeader | None:
    """Return the header of a common file, or None if the graph must read it."""
    try:
        if encoded.startswith(b"\xff\xd8\xff"):
            return _read_common_jpeg(encoded)
        if encoded.startswith(_PNG_START):
            return _read_common_png(encoded)
    except (struct.error, IndexError):
        pass
    return None


def _read_common_jpeg(encoded: bytes) -> _CommonHeader | None:
    position, height, width = 2, 0, 0
    for _ in range(formats.MAX_PARTS):
        fill, marker, length = struct.unpack_from(">BBH", encoded, position)
        if fill != 0xFF or length < 2:
            return None
        if marker in _FRAME_MARKERS and not height:
            frame = struct.unpack_from(">BHHB", encoded, position + 4)
            depth, height, width, channels = frame
            if depth != 8 or channels not in (1, 3):
                return None
            if height * width > PIXELS_PER_BYTE * len(encoded):
                return None
        elif marker == _SCAN_MARKER:
            return (
                _CommonHeader(ImageHeader("jpeg", height, width), True)
                if height
                else None
            )
        elif marker not in _HARMLESS_MARKERS and not (
            marker == _APP1
            and _is_upright(encoded[position + 4 : position + 2 + length])
        ):
            return None
        position += 2 + length
    return None


def _is_upright(segment: bytes) -> bool:
    """Tell whether a segment has no EXIF data, or plain ones of an upright image.

    Data of any other form are left to the graph.
    """
    if not segment.startswith(_EXIF_START):
        return True
    order = _BYTE_ORDERS.get(segment[6:10])
    if order is None:
        return False
    (directory,) = struct.unpack_from(f"{order}I", segment, 10)
    (num_entries,) = struct.unpack_from(f"{order}H", segment, 6 + directory)
    start = 8 + directory
    if start + 12 * num_entries > len(segment):
        return False
    entries = segment[start : start + 12 * num_entries]
    return all(
        (kind, count, value) == _UPRIGHT
        for tag, kind, count, value in struct.iter_unpack(f"{order}HHIHxx", entries)
        if tag == _ORIENTATION_TAG
    )


def _read_common_png(encoded: bytes) -> _CommonHeader | None:
    head = struct.unpack_from(">I4sIIBB", encoded, 8)
    length, kind, width, height, _, colour_type = head
    position, is_opaque = 8, colour_type in _PNG_OPAQUE
    if kind != b"IHDR" or length != 13 or width * height >= formats.MAX_PIXELS:
        return None
    for _ in range(formats.MAX_PARTS - 1):
        length, kind = struct.unpack_from(">I4s", encoded, position)
        if kind == b"eXIf":
            return None
        if kind == b"IEND":
            return _CommonHeader(ImageHeader("png", height, width), is_opaque)
        is_opaque &= kind != b"tRNS"
        position += 12 + length
    return None


@tf.function(input_signature=_SIGNATURE, autograph=False)
def _inspect(encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
    return *inspect_image(encoded), format_index(encoded)


@functools.lru_cache(maxsize=8)
def _decoder(
    target_size: tuple[int, int] | None,
) -> tf.types.experimental.ConcreteFunction:
    function = tf.function(
        lambda encoded: decode_image(encoded, target_size),
        input_signature=_SIGNATURE,
        autograph=False,
    )
    return function.get_concrete_function()
