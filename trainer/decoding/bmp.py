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
    numbers_at,
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
    pixels = tf.case(
        [
            (
                tf.equal(header.depth, 24),
                lambda: tf.reshape(rows[:, : 3 * header.width], [-1, header.width, 3])[
                    ..., ::-1
                ],
            ),
            (header.depth > 8, lambda: _masked(rows, header)),
        ],
        default=lambda: _colours(encoded, header, _unpack(rows, header.depth)),
    )
    dims = [tf.logical_not(header.is_top_down), False, False]
    return tf.ensure_shape(
        tf.raw_ops.Reverse(tensor=pixels, dims=dims), [None, None, 3]
    )


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


@not_inlined
def _read_header(encoded: tf.Tensor) -> _Header:
    start = first_bytes(encoded, _HEAD_BYTES)
    (
        pixels_position,
        info_bytes,
        core_width,
        core_height,
        core_depth,
        depth,
        compression,
        num_colours,
    ) = numbers_at(
        bytes_of(start),
        [(10, 4), (14, 4), (18, 2), (20, 2), (24, 2), (28, 2), (30, 4), (46, 4)],
        is_little=True,
    )
    is_core = tf.equal(info_bytes, _CORE_BYTES)
    # A negative height means that the first row is the top row.
    signed = tf.io.decode_raw(tf.strings.substr(start, 18, 8), tf.int32)
    tall = tf.where(is_core, core_height, signed[1])
    depth = tf.where(is_core, core_depth, depth)
    compression = tf.where(is_core, _PLAIN, compression)
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
        pixels_position=pixels_position,
        # The least int32 stays negative, since its negation doesn't exist.
        height=tf.abs(tall),
        width=tf.where(is_core, core_width, signed[0]),
        is_top_down=tall < 0,
        depth=depth,
        compression=compression,
        num_colours=tf.where(is_core, 0, num_colours),
        masks=tf.where(has_masks, masks, usual),
    )


def _unpack(rows: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
    """Unpack rows, uint8 (H, N / 8 * depth), to indices of `depth` bits, uint8 (H, N).

    The leftmost pixel is in the highest bits of a byte. `depth` is 1, 4 or 8.
    """
    shifts = tf.cast(tf.range(8 - depth, -1, -depth), tf.uint8)
    parts = tf.bitwise.right_shift(rows[..., tf.newaxis], shifts)
    greatest = tf.cast(tf.bitwise.left_shift(1, depth) - 1, tf.uint8)
    parts = tf.bitwise.bitwise_and(parts, greatest)
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


def _masked(rows: tf.Tensor, header: _Header) -> tf.Tensor:
    """Extract channels, uint8 (H, W, 3), from pixels of 16 or 32 bits by the masks."""
    parts = tf.reshape(rows, [header.height, -1, header.depth // 8])
    # Numbers of 16 bits become 32 bits with zeros as their upper half.
    parts = tf.pad(parts, [[0, 0], [0, 0], [0, 4 - header.depth // 8]])
    numbers = tf.bitcast(tf.ensure_shape(parts, [None, None, 4]), tf.uint32)
    numbers = numbers[:, : header.width]
    lowest = tf.maximum(_lowest_bit(header.masks), 1)
    colours = [
        _channel(numbers, mask, step)
        for mask, step in zip(tf.unstack(header.masks), tf.unstack(lowest), strict=True)
    ]
    has_alpha = header.masks[3] > 0
    colours[3] = tf.where(has_alpha, colours[3], tf.constant(255, tf.uint8))
    return on_white(tf.stack(colours, axis=-1))


@not_inlined
def _channel(numbers: tf.Tensor, mask: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Extract a channel, uint8 (H, W), from numbers, uint32 (H, W).

    Args:
        numbers: The pixels.
        mask: The bits of the channel, uint32 ().
        step: The lowest bit of the mask, or 1, uint32 ().
    """
    values = tf.cast(tf.bitwise.bitwise_and(numbers, mask) // step, tf.float32)
    most = tf.maximum(tf.cast(mask // step, tf.float32), 1.0)
    return tf.cast(values * (255.0 / most) + 0.5, tf.uint8)


def _lowest_bit(masks: tf.Tensor) -> tf.Tensor:
    """Return the lowest set bit of each number, uint32 (N,); 0 for 0."""
    return tf.bitwise.bitwise_and(masks, tf.bitwise.invert(masks) + 1)
