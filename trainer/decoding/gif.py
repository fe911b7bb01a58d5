"""Decode the first frame of a GIF file in graph code, on a white canvas.

`tf.io.decode_gif` decodes all frames of a file. It paints transparent pixels, and the
canvas outside of the frame, black.
"""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding import formats
from graft.trainer.decoding.graph_code import (
    bytes_of,
    first_bytes,
    not_inlined,
    not_refused,
    numbers_at,
)

_HEAD_BYTES = 13
_DESCRIPTOR_BYTES = 10
_MOST_PALETTE_BYTES = 3 * 256
_BLOCK_STRIDE = 256
_BLOCKS_AT_ONCE = 256
_IMAGE, _EXTENSION, _GRAPHIC_CONTROL = 0x2C, 0x21, 0xF9
_HAS_PALETTE, _IS_INTERLACED = 0x80, 0x40


@not_inlined
def decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """Decode the first frame of a GIF on its canvas, as browsers show it.

    TensorFlow gets a new file with this frame only. The palette of that file has white
    for the transparent colour.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: At execution, if the file is refused.
    """
    layout = gif_layout(encoded)
    encoded = not_refused(encoded, layout[0])
    _, height, width, _, frame, end, transparent = tf.unstack(layout)
    data = bytes_of(tf.strings.substr(encoded, frame, _DESCRIPTOR_BYTES))
    left, top, frame_width, frame_height = numbers_at(
        data, [(1, 2), (3, 2), (5, 2), (7, 2)], is_little=True
    )
    alone = _single_frame_file(encoded, frame, end, transparent, data[9])
    margins = [
        [top, height - top - frame_height],
        [left, width - left - frame_width],
        [0, 0],
    ]
    pixels = tf.io.decode_gif(alone)[0]
    return tf.pad(pixels, margins, constant_values=tf.constant(255, tf.uint8))


def _single_frame_file(
    encoded: tf.Tensor,
    frame: tf.Tensor,
    end: tf.Tensor,
    transparent: tf.Tensor,
    packed: tf.Tensor,
) -> tf.Tensor:
    """Return a GIF file, string (), of the first frame, with white for transparent.

    Args:
        encoded: string (), the bytes of the whole file.
        frame: Position of the frame's descriptor, int32 ().
        end: Position after the frame's pixels, int32 ().
        transparent: Transparent entry of the palette, or -1, int32 ().
        packed: Flags of the frame's descriptor, int32 ().
    """
    has_local = packed >= _HAS_PALETTE
    place = tf.where(has_local, frame + _DESCRIPTOR_BYTES, _HEAD_BYTES)
    flags = tf.where(has_local, packed, bytes_of(first_bytes(encoded, 16))[10])
    palette = tf.strings.substr(encoded, place, _palette_bytes(flags))
    palette = tf.strings.substr(first_bytes(palette, 768), 0, _MOST_PALETTE_BYTES)
    before = 3 * tf.maximum(transparent, 0)
    palette = tf.where(
        transparent >= 0,
        tf.strings.join(
            [
                tf.strings.substr(palette, 0, before),
                b"\xff\xff\xff",
                tf.strings.substr(palette, before + 3, _MOST_PALETTE_BYTES),
            ]
        ),
        palette,
    )
    is_interlaced = tf.not_equal(tf.bitwise.bitwise_and(packed, _IS_INTERLACED), 0)
    size = tf.strings.substr(encoded, frame + 5, 4)
    codes = frame + _DESCRIPTOR_BYTES + _palette_bytes(packed)
    return tf.strings.join(
        [
            b"GIF89a",
            size,
            b"\0\0\0,\0\0\0\0",
            size,
            tf.where(is_interlaced, b"\xc7", b"\x87"),
            palette,
            tf.strings.substr(encoded, codes, end - codes),
            b";",
        ]
    )


@not_inlined
def gif_layout(encoded: tf.Tensor) -> tf.Tensor:
    """Find the first frame of a GIF: GIF89a specification, sections 15 and 18 to 24.

    Args:
        encoded: string (), the bytes of the file.

    Returns:
        int32 (7,): code of `formats.REFUSALS`; height and width of the canvas, enlarged
        to contain the frame; EXIF orientation; where the frame's descriptor begins and
        its pixels end; and the transparent entry of the palette, or -1.
    """
    data = bytes_of(tf.strings.join([encoded, b"\0" * 16]))
    file_size = tf.strings.length(encoded)
    frame, count, transparent = _skip_extensions(data, file_size)
    is_frame = (frame < file_size) & tf.equal(_byte(data, frame, file_size), _IMAGE)
    packed = _byte(data, frame + 9, file_size)
    codes = frame + _DESCRIPTOR_BYTES + _palette_bytes(packed)
    end = _after_blocks(data, codes + 1, file_size)
    end = tf.where(is_frame, end, file_size + 1)
    width, height, left, top, frame_width, frame_height = numbers_at(
        data,
        [(position, 2) for position in (6, 8, *(frame + at for at in (1, 3, 5, 7)))],
        is_little=True,
    )
    width = tf.maximum(width, left + frame_width)
    height = tf.maximum(height, top + frame_height)
    has_palette = (packed >= _HAS_PALETTE) | (data[10] >= _HAS_PALETTE)
    is_whole = (end <= file_size) & (frame_width > 0) & (frame_height > 0)
    num_pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    refusal = tf.where(has_palette, formats.FINE, formats.GIF_NO_PALETTE)
    refusal = tf.where(num_pixels < formats.MAX_PIXELS, refusal, formats.GIF_TOO_LARGE)
    refusal = tf.where(is_whole, refusal, formats.DAMAGED + formats.GIF)
    refusal = tf.where(count < formats.MAX_PARTS, refusal, formats.GIF_BLOCKS)
    return tf.stack([refusal, height, width, 1, frame, end, transparent])


def _byte(data: tf.Tensor, position: tf.Tensor, file_size: tf.Tensor) -> tf.Tensor:
    return tf.gather(data, tf.minimum(position, file_size))


def _skip_extensions(data: tf.Tensor, file_size: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Skip the extensions before the first frame.

    Returns:
        int32 (): position of the frame's descriptor, number of extensions, and the
        transparent entry of the palette, or -1.
    """

    def byte(position: tf.Tensor) -> tf.Tensor:
        return _byte(data, position, file_size)

    def is_extension(position: tf.Tensor) -> tf.Tensor:
        return tf.equal(byte(position), _EXTENSION)

    def skip_extension(
        position: tf.Tensor, count: tf.Tensor, transparent: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        is_control = tf.equal(byte(position + 1), _GRAPHIC_CONTROL)
        index = tf.where(
            tf.equal(byte(position + 3) % 2, 1), byte(position + 6), tf.constant(-1)
        )
        return (
            _after_blocks(data, position + 2, file_size),
            count + 1,
            tf.where(is_control, index, transparent),
        )

    skipped: tuple[tf.Tensor, ...] = tf.while_loop(
        lambda position, count, _: (
            is_extension(position)
            & (position < file_size)
            & (count < formats.MAX_PARTS)
        ),
        skip_extension,
        (_HEAD_BYTES + _palette_bytes(data[10]), 0, -1),
        parallel_iterations=1,
    )
    return skipped


def _palette_bytes(flags: tf.Tensor) -> tf.Tensor:
    length = 3 * tf.bitwise.left_shift(tf.constant(2), flags % 8)
    return tf.where(flags >= _HAS_PALETTE, length, 0)


@not_inlined
def _after_blocks(
    data: tf.Tensor, position: tf.Tensor, file_size: tf.Tensor
) -> tf.Tensor:
    """Skip blocks of at most 255 bytes each, up to an empty one.

    A run of full blocks is one step of the loop.

    Returns:
        Position after the empty block, int32 (); beyond the file if that is missing.
    """
    steps = _BLOCK_STRIDE * tf.range(_BLOCKS_AT_ONCE)

    def skip(position: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        lengths = tf.gather(data, tf.minimum(position + steps, file_size))
        is_full = tf.cast(tf.equal(lengths, 255), tf.int32)
        position += _BLOCK_STRIDE * tf.reduce_sum(tf.math.cumprod(is_full))
        length = _byte(data, position, file_size)
        return position + 1 + length, tf.equal(length, 0)

    position, _ = tf.while_loop(
        lambda position, is_end: ~is_end & (position < file_size),
        skip,
        (position, False),
        parallel_iterations=1,
    )
    # The byte after the file reads as 0, but isn't an empty block.
    return position
