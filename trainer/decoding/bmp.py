"""Decode BMP files in graph code: palettes, channel masks and all old headers.

`tf.io.decode_bmp` reads palette indices as shades of grey, and ignores channel masks.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from graft.trainer.decoding import formats
from graft.trainer.decoding.graph_code import (
    bytes_of,
    first_bytes,
    not_inlined,
    not_refused,
    number_at,
)
from graft.trainer.decoding.transparency import on_white

_HEAD_BYTES = 72
_FILE_HEAD_BYTES = 14
_MASKS_POSITION = 54
_CORE_BYTES, _INFO_BYTES, _ALPHA_BYTES, _OS2_BYTES = 12, 40, 56, 64
_PLAIN, _RLE8, _RLE4, _MASKS, _JPEG, _PNG, _ALPHA_MASKS = range(7)
_PALETTE_ENTRIES = 256
_DEPTHS = (1, 4, 8, 16, 24, 32)
_MASKS_OF_16_BITS = (0x7C00, 0x03E0, 0x001F, 0)
_MASKS_OF_32_BITS = (0xFF0000, 0xFF00, 0xFF, 0)


class _Header(NamedTuple):
    """The header of a BMP. All fields are int32 () except for masks, uint32 (4,)."""

    info_bytes: tf.Tensor
    pixels_position: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    is_top_down: tf.Tensor
    depth: tf.Tensor
    compression: tf.Tensor
    num_colours: tf.Tensor
    masks: tf.Tensor

    @property
    def is_core(self) -> tf.Tensor:
        """Whether the header is the short one of OS/2."""
        return tf.equal(self.info_bytes, _CORE_BYTES)

    @property
    def row_bytes(self) -> tf.Tensor:
        """Bytes of a row's pixels, int64 ()."""
        return (tf.cast(self.width, tf.int64) * tf.cast(self.depth, tf.int64) + 7) // 8

    @property
    def stride(self) -> tf.Tensor:
        """Bytes from the start of a row to the next, int64 ()."""
        return (self.row_bytes + 3) // 4 * 4


@not_inlined
def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Decode an uncompressed BMP file.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: At execution, if the file is refused.
    """
    encoded = not_refused(encoded, bmp_layout(encoded)[0])
    header = _read_header(encoded)
    start = header.pixels_position
    stride = tf.cast(header.stride, tf.int32)
    size = header.height * stride
    # Some files lack the padding of the last row.
    part = tf.strings.join([tf.strings.substr(encoded, start, size), b"\0" * 4])
    rows = tf.reshape(tf.io.decode_raw(part, tf.uint8)[:size], [-1, stride])
    pixels = tf.switch_case(
        tf.argmax(tf.equal(header.depth, _DEPTHS), output_type=tf.int32),
        [
            lambda: _colours(encoded, header, _unpack(rows, 1)),
            lambda: _colours(encoded, header, _unpack(rows, 4)),
            lambda: _colours(encoded, header, rows),
            lambda: _masked(rows, tf.uint16, header),
            lambda: tf.reshape(rows[:, : 3 * header.width], [-1, header.width, 3])[
                ..., ::-1
            ],
            lambda: _masked(rows, tf.uint32, header),
        ],
    )
    return tf.cond(header.is_top_down, lambda: pixels, lambda: pixels[::-1])


@not_inlined
def bmp_layout(encoded: tf.Tensor) -> tf.Tensor:
    """Read the header of a BMP file: BITMAPCOREHEADER to BITMAPV5HEADER.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        int32 (4,): code of `formats.REFUSALS`, height and width, and EXIF orientation.
    """
    header = _read_header(encoded)
    compression, depth = header.compression, header.depth
    masks = header.masks[:3]
    has_masks = tf.reduce_any(tf.equal(compression, [_MASKS, _ALPHA_MASKS]))
    is_known = tf.equal(compression, _PLAIN) | (
        has_masks & tf.reduce_any(tf.equal(depth, [16, 32]))
    )
    is_known &= tf.reduce_any(tf.equal(depth, _DEPTHS))
    is_known &= header.is_core | (header.info_bytes >= _INFO_BYTES)
    is_run_length = tf.reduce_any(tf.equal(compression, [_RLE8, _RLE4]))
    is_embedded = tf.reduce_any(tf.equal(compression, [_JPEG, _PNG]))
    lowest = _lowest_bit(header.masks)
    shifted = header.masks // tf.maximum(lowest, 1)
    overlap = tf.bitwise.bitwise_and(shifted, shifted + 1)
    is_usual = tf.reduce_all(tf.equal(overlap, 0)) & tf.reduce_all(masks > 0)
    height, width = tf.cast(header.height, tf.int64), tf.cast(header.width, tf.int64)
    end = tf.cast(header.pixels_position, tf.int64)
    end += header.stride * (height - 1) + header.row_bytes
    size = tf.strings.length(encoded)
    is_whole = (
        (end <= tf.cast(size, tf.int64))
        & (header.pixels_position >= _FILE_HEAD_BYTES + header.info_bytes)
        & (height > 0)
        & (width > 0)
    )
    refusal = tf.where(is_usual, formats.FINE, formats.BMP_MASKS)
    refusal = tf.where(is_whole, refusal, formats.DAMAGED + formats.BMP)
    is_small = height * width < formats.MAX_PIXELS
    refusal = tf.where(is_small, refusal, formats.BMP_TOO_LARGE)
    unknown = tf.where(is_embedded, formats.BMP_EMBEDDED, formats.BMP_UNKNOWN)
    unknown = tf.where(is_run_length, formats.BMP_RUN_LENGTH, unknown)
    refusal = tf.where(is_known, refusal, unknown)
    return tf.stack([refusal, header.height, header.width, 1])


def _read_header(encoded: tf.Tensor) -> _Header:
    start = first_bytes(encoded, _HEAD_BYTES)
    data = bytes_of(start)

    def number(position: int, num_bytes: int) -> tf.Tensor:
        return number_at(data, position, num_bytes, is_little=True)

    info_bytes = number(14, 4)
    is_core = tf.equal(info_bytes, _CORE_BYTES)
    # A negative height means that the first row is the top row.
    signed = tf.io.decode_raw(tf.strings.substr(start, 18, 8), tf.int32)
    tall = tf.where(is_core, number(20, 2), signed[1])
    depth = tf.where(is_core, number(24, 2), number(28, 2))
    compression = tf.where(is_core, _PLAIN, number(30, 4))
    # OS/2 has different numbers for compressions.
    is_os2 = tf.equal(info_bytes, _OS2_BYTES) & (compression > _RLE4)
    compression = tf.where(is_os2, _ALPHA_MASKS + 1, compression)
    raw_masks = tf.strings.substr(start, _MASKS_POSITION, 16)
    masks = tf.bitcast(tf.io.decode_raw(raw_masks, tf.int32), tf.uint32)
    has_alpha = (info_bytes >= _ALPHA_BYTES) | tf.equal(compression, _ALPHA_MASKS)
    masks = tf.where(has_alpha | [True, True, True, False], masks, tf.zeros_like(masks))
    usual = tf.where(
        tf.equal(depth, 16),
        tf.constant(_MASKS_OF_16_BITS, tf.uint32),
        tf.constant(_MASKS_OF_32_BITS, tf.uint32),
    )
    has_masks = tf.reduce_any(tf.equal(compression, [_MASKS, _ALPHA_MASKS]))
    return _Header(
        info_bytes=info_bytes,
        pixels_position=number(10, 4),
        # The least int32 stays negative, since its negation doesn't exist.
        height=tf.abs(tall),
        width=tf.where(is_core, number(18, 2), signed[0]),
        is_top_down=tall < 0,
        depth=depth,
        compression=compression,
        num_colours=tf.where(is_core, 0, number(46, 4)),
        masks=tf.where(has_masks, masks, usual),
    )


def _unpack(rows: tf.Tensor, depth: int) -> tf.Tensor:
    """Unpack rows, uint8 (H, N / 8 * depth), to indices of `depth` bits, uint8 (H, N).

    The leftmost pixel is in the highest bits of a byte.
    """
    shifts = tf.constant([*range(8 - depth, -1, -depth)], tf.uint8)
    parts = tf.bitwise.right_shift(rows[..., tf.newaxis], shifts)
    parts = tf.bitwise.bitwise_and(parts, tf.constant(2**depth - 1, tf.uint8))
    return tf.reshape(parts, [tf.shape(rows)[0], -1])


def _colours(encoded: tf.Tensor, header: _Header, indices: tf.Tensor) -> tf.Tensor:
    """Map indices, uint8 (H, >= W), to the palette's colours, uint8 (H, W, 3)."""
    entry_bytes = tf.where(header.is_core, 3, 4)
    possible = tf.bitwise.left_shift(1, header.depth)
    count = tf.where(
        tf.equal(header.num_colours, 0),
        possible,
        tf.minimum(header.num_colours, possible),
    )
    start = _FILE_HEAD_BYTES + header.info_bytes
    num_bytes = count * entry_bytes
    # Indices outside of the palette are black.
    padding = b"\0" * (4 * _PALETTE_ENTRIES)
    palette = tf.strings.join([tf.strings.substr(encoded, start, num_bytes), padding])
    values = tf.io.decode_raw(palette, tf.uint8)[: _PALETTE_ENTRIES * entry_bytes]
    table = tf.reshape(values, [_PALETTE_ENTRIES, entry_bytes])[:, 2::-1]
    wanted = tf.cast(indices[:, : header.width], tf.int32)
    return tf.gather(tf.ensure_shape(table, [_PALETTE_ENTRIES, 3]), wanted)


def _masked(rows: tf.Tensor, kind: tf.DType, header: _Header) -> tf.Tensor:
    """Extract channels, uint8 (H, W, 3), from the pixels' numbers by the masks."""
    parts = tf.reshape(rows, [header.height, -1, kind.size])
    numbers = tf.cast(tf.bitcast(parts, kind)[:, : header.width], tf.uint32)
    lowest = tf.maximum(_lowest_bit(header.masks), 1)

    def channel(index: int) -> tf.Tensor:
        mask, step = header.masks[index], lowest[index]
        values = tf.cast(tf.bitwise.bitwise_and(numbers, mask) // step, tf.float32)
        most = tf.maximum(tf.cast(mask // step, tf.float32), 1.0)
        return tf.cast(values * (255.0 / most) + 0.5, tf.uint8)

    colours = [channel(index) for index in range(3)]
    return tf.cond(
        header.masks[3] > 0,
        lambda: on_white(tf.stack([*colours, channel(3)], axis=-1)),
        lambda: tf.stack(colours, axis=-1),
    )


def _lowest_bit(masks: tf.Tensor) -> tf.Tensor:
    """Return the lowest set bit of each number, uint32 (N,); 0 for 0."""
    return tf.bitwise.bitwise_and(masks, tf.bitwise.invert(masks) + 1)
