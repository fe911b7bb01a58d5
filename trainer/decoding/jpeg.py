"""Decoding of JPEG files in graph code: upright, and smaller where that will do."""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding.graph_code import first_bytes, not_inlined

_EXIF_ORIENTATION_TAG = 274
_EXIF_BYTES = 1 << 16
_EXIF_SEGMENTS = 8
_EXIF_ENTRIES = 64

_SCALES = (1, 2, 4, 8)


def decode_jpeg(
    encoded: tf.Tensor, target_size: tuple[int, int] | None = None
) -> tf.Tensor:
    """Decode a JPEG file, upright.

    Args:
        encoded: string (), the bytes of the file.
        target_size: (height, width) in pixels to which the caller will resize. A file
            that is at least three times as large each way is decoded at a half, a
            quarter or an eighth of its scale, whichever leaves at least one and a half
            times the target: libjpeg then leaves out high frequencies that the resize
            would leave out, at a fraction of the time. What that does to features:
            docs/decisions/0004. None decodes at full scale.

    Returns:
        uint8 (H, W, 3).
    """
    orientation = _orientation(encoded)

    def decode_at(scale: int) -> tf.Tensor:
        return tf.io.decode_jpeg(encoded, channels=3, ratio=scale)

    if target_size is None:
        pixels = decode_at(1)
    else:
        size = tf.image.extract_jpeg_shape(encoded)[:2]
        target = tf.where(orientation >= 5, target_size[::-1], target_size)
        room = tf.reduce_min(2 * size // (3 * target))
        choice = tf.reduce_sum(tf.cast(room >= _SCALES[1:], tf.int32))
        pixels = tf.switch_case(
            choice, [lambda scale=scale: decode_at(scale) for scale in _SCALES]
        )
    return tf.cond(
        tf.equal(orientation, 1),
        lambda: pixels,
        lambda: _turn_upright(pixels, orientation),
    )


@not_inlined
def _turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Apply an EXIF orientation, int32 () in 1..8, to pixels (H, W, C)."""

    def transposed(image: tf.Tensor) -> tf.Tensor:
        return tf.transpose(image, [1, 0, 2])

    return tf.switch_case(
        orientation - 1,
        [
            lambda: pixels,
            lambda: pixels[:, ::-1],
            lambda: pixels[::-1, ::-1],
            lambda: pixels[::-1],
            lambda: transposed(pixels),
            lambda: transposed(pixels)[:, ::-1],
            lambda: transposed(pixels)[::-1, ::-1],
            lambda: transposed(pixels)[::-1],
        ],
    )


def _orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Read a JPEG file's EXIF orientation, int32 () in 1..8; 1 where there is none.

    A file whose only application segment is a plain JFIF header, as most small images
    have, is told by two comparisons instead of the walk.
    """
    head = first_bytes(encoded, 24)
    is_plain = tf.equal(tf.strings.substr(head, 2, 4), b"\xff\xe0\x00\x10") & tf.equal(
        tf.strings.substr(head, 20, 2), b"\xff\xdb"
    )
    return tf.cond(is_plain, lambda: 1, lambda: _walk_to_orientation(encoded))


@not_inlined
def _walk_to_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Find the orientation in the file's segments, int32 () in 1..8.

    Walks the application segments at the file's head to APP1 "Exif", then the entries
    of the first image file directory: JEITA CP-3451 (Exif 2.32), sections 4.5 and 4.6.
    """
    padding = b"\0" * (16 + 12 * _EXIF_ENTRIES)
    head = tf.strings.join([tf.strings.substr(encoded, 0, _EXIF_BYTES), padding])
    limit = tf.strings.length(head) - len(padding)

    def read(position: tf.Tensor, num_bytes: int) -> tf.Tensor:
        return tf.strings.substr(head, tf.clip_by_value(position, 0, limit), num_bytes)

    def shorts(position: tf.Tensor, count: int, *, is_little: bool) -> tf.Tensor:
        raw = read(position, 2 * count)
        return tf.cast(tf.io.decode_raw(raw, tf.uint16, is_little), tf.int32)

    def is_exif(position: tf.Tensor) -> tf.Tensor:
        is_app1 = tf.equal(read(position, 2), b"\xff\xe1")
        return is_app1 & tf.equal(read(position + 4, 6), b"Exif\0\0")

    def is_on_the_way(position: tf.Tensor) -> tf.Tensor:
        marker = shorts(position, 1, is_little=False)[0]
        is_application = (marker >= 0xFFE0) & (marker <= 0xFFEF)
        is_comment = tf.equal(marker, 0xFFFE)
        return (is_application | is_comment) & ~is_exif(position) & (position < limit)

    (position,) = tf.while_loop(
        is_on_the_way,
        lambda position: (position + 2 + shorts(position + 2, 1, is_little=False)[0],),
        (tf.constant(2),),
        maximum_iterations=_EXIF_SEGMENTS,
    )

    def read_directory() -> tf.Tensor:
        tiff = position + 10
        is_little = tf.equal(read(tiff, 1), b"I")

        def either(at: tf.Tensor, count: int) -> tf.Tensor:
            little = shorts(at, count, is_little=True)
            return tf.where(is_little, little, shorts(at, count, is_little=False))

        # Offsets beyond 64 KiB can't lie in one segment: the low half is enough.
        offset = either(tiff + 4, 2)
        directory = tiff + tf.where(is_little, offset[0], offset[1])
        num_entries = either(directory, 1)[0]
        entries = tf.reshape(either(directory + 2, 6 * _EXIF_ENTRIES), [-1, 6])
        is_it = tf.equal(entries[:, 0], _EXIF_ORIENTATION_TAG)
        is_it &= tf.range(_EXIF_ENTRIES) < num_entries
        value = tf.reduce_max(tf.where(is_it, entries[:, 4], 0))
        return tf.where((value >= 1) & (value <= 8), value, 1)

    return tf.cond(is_exif(position), read_directory, lambda: tf.constant(1))
