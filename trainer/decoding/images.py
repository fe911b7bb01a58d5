"""Decode image files to RGB pixels, with the same operations in training and serving.

All of it is graph code, since it is part of the exported model. An image looks as in a
browser:

- It is upright (EXIF orientation).
- Transparent pixels are white.
- 16-bit, greyscale, palette and CMYK images become 8-bit RGB.
- An animation is its first frame.

Other files are refused: see `formats`.

`tf.io.decode_image` ignores EXIF orientation and blends no transparency. Pillow can't
run in a graph. TensorFlow I/O's decoders are custom operations, which TensorFlow
Serving doesn't have.
"""

from __future__ import annotations

import tensorflow as tf

from graft.trainer.decoding import formats
from graft.trainer.decoding.bmp import bmp_layout, decode_bmp
from graft.trainer.decoding.gif import decode_gif, gif_layout
from graft.trainer.decoding.graph_code import checked, first_bytes, not_inlined
from graft.trainer.decoding.jpeg import decode_jpeg, jpeg_layout
from graft.trainer.decoding.png import decode_png, png_layout
from graft.trainer.decoding.webp import decode_webp, webp_layout

_PREFIXES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF", b"WEBP")
_POSITIONS = (0, 0, 0, 0, 0, 8)
"""Positions of the prefixes, in the order of the formats. WebP has two prefixes."""


def decode_image(
    encoded: tf.Tensor, target_size: tuple[int, int] | None = None
) -> tf.Tensor:
    """Decode one image to upright 8-bit RGB.

    Args:
        encoded: string (), the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        target_size: (height, width) in pixels that the caller will resize to; see
            `decode_jpeg`. None decodes at full scale.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: At execution, if the file is refused. The text
            ends with the result of `refusal_of`.
    """
    pixels = tf.switch_case(
        format_index(encoded),
        {
            formats.JPEG: lambda: decode_jpeg(encoded, target_size),
            formats.PNG: lambda: decode_png(encoded),
            formats.GIF: lambda: decode_gif(encoded),
            formats.BMP: lambda: decode_bmp(encoded),
            formats.WEBP: lambda: decode_webp(encoded),
        },
        default=lambda: _refuse(encoded),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def inspect_image(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Read the header of an image file without decoding pixels.

    Args:
        encoded: string (), bytes of a file.

    Returns:
        The refusal, string (), or an empty text; and int32 (3,): height and width as
        stored, and EXIF orientation. They are valid only without a refusal.
    """
    layout = tf.switch_case(
        format_index(encoded),
        {
            formats.JPEG: lambda: jpeg_layout(encoded)[:4],
            formats.PNG: lambda: png_layout(encoded)[:4],
            formats.GIF: lambda: gif_layout(encoded)[:4],
            formats.BMP: lambda: bmp_layout(encoded),
            formats.WEBP: lambda: webp_layout(encoded)[:4],
        },
        default=lambda: tf.constant([-1, 0, 0, 1]),
    )
    refusal = tf.cond(
        layout[0] < 0,
        lambda: name_other(encoded),
        lambda: tf.gather(tf.constant(formats.REFUSALS), layout[0]),
    )
    return refusal, layout[1:]


@not_inlined
def refusal_of(encoded: tf.Tensor) -> tf.Tensor:
    """Return why `decode_image` fails on a file, string ().

    Args:
        encoded: string (), bytes of a file on which it failed.
    """
    refusal, _ = inspect_image(encoded)
    # If the header is fine, the pixels are damaged. Unknown formats have a refusal.
    index = tf.minimum(format_index(encoded), formats.WEBP)
    damaged = tf.gather(tf.constant(formats.REFUSALS), formats.DAMAGED + index)
    return tf.where(tf.equal(refusal, ""), damaged, refusal)


@not_inlined
def name_other(encoded: tf.Tensor) -> tf.Tensor:
    """Return the refusal, string (), for a file of an unsupported format."""
    known = formats.FOREIGN_FORMATS
    head = tf.reshape(first_bytes(encoded, formats.FOREIGN_BYTES), [1])
    signatures = [each.signature for each in known]
    parts = tf.strings.substr(
        head, [each.position for each in known], [len(each) for each in signatures]
    )
    text = tf.strings.substr(encoded, 0, formats.TEXT_BYTES)
    found = tf.concat(
        [
            tf.equal(parts, signatures),
            [
                tf.strings.regex_full_match(text, pattern)
                for pattern, _ in formats.TEXT_FORMATS
            ],
            [tf.equal(text, ""), True],
        ],
        axis=0,
    )
    size = tf.strings.as_string(tf.strings.length(encoded))
    no_image = tf.strings.join([formats.NO_IMAGE_START, size, formats.NO_IMAGE_END])
    refusals = [each.refusal for each in known]
    refusals += [refusal for _, refusal in formats.TEXT_FORMATS]
    return tf.gather(tf.stack([*refusals, formats.EMPTY, no_image]), tf.argmax(found))


def format_index(encoded: tf.Tensor) -> tf.Tensor:
    """Return the format of files, given their first bytes.

    Args:
        encoded: string, of any shape, bytes of files.

    Returns:
        Number of the format, int32 of the same shape; else `formats.UNKNOWN_FORMAT`.
    """
    heads = first_bytes(tf.reshape(encoded, [-1, 1]), 12)
    parts = tf.strings.substr(heads, _POSITIONS, [len(part) for part in _PREFIXES])
    found = tf.equal(parts, _PREFIXES)
    is_webp = found[:, formats.WEBP] & found[:, formats.WEBP + 1]
    others = tf.unstack(found[:, : formats.WEBP], axis=1)
    is_it = tf.stack([*others, is_webp], axis=1)
    # The first match counts. The padding at the end is the unknown format.
    index = tf.argmax(tf.pad(is_it, [[0, 0], [0, 1]], constant_values=True), axis=1)
    return tf.reshape(tf.cast(index, tf.int32), tf.shape(encoded))


def _refuse(encoded: tf.Tensor) -> tf.Tensor:
    # Always false. A constant would fail at graph construction.
    is_fine = tf.strings.length(encoded) < 0
    channels = checked(tf.constant(3), is_fine, name_other(encoded))
    return tf.zeros([0, 0, channels], tf.uint8)
