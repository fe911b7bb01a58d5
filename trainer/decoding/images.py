"""From the bytes of an image file to RGB pixels: the same in ingestion and in serving.

Everything that TensorFlow runs here is graph code, since the exported model carries it:
what a client sends is decoded by the very operations that decoded the training images.

An image looks as in a browser: it stands upright (EXIF orientation), transparent places
are white, 16-bit, greyscale, palette and CMYK images become 8-bit RGB, and of an
animation the first frame counts. What can't be shown so is refused: see `formats`.
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
"""How files of these formats begin, in their order; WebP's have two marks."""


def decode_image(
    encoded: tf.Tensor, target_size: tuple[int, int] | None = None
) -> tf.Tensor:
    """Decode one image to upright 8-bit RGB.

    Args:
        encoded: string (), the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        target_size: (height, width) in pixels to which the caller will resize, see
            `decode_jpeg`. None decodes at full scale.

    Returns:
        uint8 (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: When executed on bytes that are refused; the
            reason is that of `refusal_of`.
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
    """Read the head of an image file; its pixels aren't decoded.

    Args:
        encoded: string (), bytes of a file.

    Returns:
        The reason to refuse the file, string (), empty for none; and int32 (3,), height
        and width as stored, and EXIF orientation: they hold if there is no reason.
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
    """Return why `decode_image` fails on the bytes of a file, string ().

    Args:
        encoded: string (), bytes on which it failed.
    """
    refusal, _ = inspect_image(encoded)
    # What the head says is fine, and is damaged farther on; -1 isn't asked for.
    index = tf.minimum(format_index(encoded), formats.WEBP)
    damaged = tf.gather(tf.constant(formats.REFUSALS), formats.DAMAGED + index)
    return tf.where(tf.equal(refusal, ""), damaged, refusal)


@not_inlined
def name_other(encoded: tf.Tensor) -> tf.Tensor:
    """Return the refusal, string (), of bytes that begin as none of the formats do."""
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
    """Tell the format from the first bytes.

    Args:
        encoded: string, of any shape; bytes of files.

    Returns:
        int32 of the same shape; `formats.UNKNOWN_FORMAT` for what is no image.
    """
    heads = first_bytes(tf.reshape(encoded, [-1, 1]), 12)
    parts = tf.strings.substr(heads, _POSITIONS, [len(part) for part in _PREFIXES])
    found = tf.equal(parts, _PREFIXES)
    is_webp = found[:, formats.WEBP] & found[:, formats.WEBP + 1]
    others = tf.unstack(found[:, : formats.WEBP], axis=1)
    is_it = tf.stack([*others, is_webp], axis=1)
    # The first that is true counts, and behind them all stands the unknown.
    index = tf.argmax(tf.pad(is_it, [[0, 0], [0, 1]], constant_values=True), axis=1)
    return tf.reshape(tf.cast(index, tf.int32), tf.shape(encoded))


def _refuse(encoded: tf.Tensor) -> tf.Tensor:
    # Never fine; a constant would be tried when the graph is built.
    is_fine = tf.strings.length(encoded) < 0
    channels = checked(tf.constant(3), is_fine, name_other(encoded))
    return tf.zeros([0, 0, channels], tf.uint8)
