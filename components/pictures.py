"""Find images of examples, and make thumbnails of them as `data:` URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Iterator, Sequence

import tensorflow as tf
from PIL import Image

from graft.contract import example_keys
from graft.storage import tfrecords
from graft.trainer.decoding.from_bytes import decode_pixels, read_header

THUMBNAIL_PIXELS = 160
_JPEG_QUALITY = 78
_MOST_PIXELS = 100_000_000
_RECORDS_AT_ONCE = 32
_HASH = {example_keys.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string)}
_IMAGE = {example_keys.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}


def thumbnail(encoded: bytes) -> str | None:
    """Return a thumbnail as a `data:` URI, or None if the image is refused.

    Its longer edge has at most `THUMBNAIL_PIXELS` pixels.
    """
    try:
        picture = as_picture(encoded)
    except ValueError:
        # The image is in quarantine. The report shows its name without a thumbnail.
        return None
    if max(picture.size) < THUMBNAIL_PIXELS // 2:
        # A whole factor keeps the pixels of a small image square.
        factor = THUMBNAIL_PIXELS // max(picture.size)
        picture = picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
        )
    picture.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    return data_uri(picture)


def as_picture(encoded: bytes) -> Image.Image:
    """Decode an image as the model does; a large JPEG at a smaller scale.

    Raises:
        ValueError: The image is refused; the message says why.
    """
    header = read_header(encoded)
    if header.height * header.width > _MOST_PIXELS:
        raise ValueError(f"too many pixels: {header.width}x{header.height}")
    pixels = decode_pixels(encoded, (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    return Image.fromarray(pixels)


def data_uri(picture: Image.Image) -> str:
    """Encode an image as JPEG in a `data:` URI."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def find_thumbnails(
    example_files: Sequence[str], content_hashes: Collection[str]
) -> dict[str, str]:
    """Return content hash to thumbnail, for images of the given hashes.

    Unlike `find_images`, it keeps no encoded image in memory.
    """
    found = {}
    for key, encoded in wanted_images(example_files, content_hashes):
        picture = thumbnail(encoded)
        if picture is not None:
            found[key] = picture
    return found


def find_images(
    example_files: Sequence[str], content_hashes: Collection[str]
) -> dict[str, bytes]:
    """Return content hash to encoded image, for the given hashes."""
    return dict(wanted_images(example_files, content_hashes))


def wanted_images(
    example_files: Sequence[str], content_hashes: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Yield content hash and encoded image of each wanted image, once.

    The images are in the order of their records. Of the others only the hash is parsed.
    """
    wanted = {each.encode() for each in content_hashes}
    if not wanted:
        return
    for batch in tfrecords.dataset(example_files).batch(_RECORDS_AT_ONCE):
        hashes = tf.io.parse_example(batch, _HASH)[example_keys.CONTENT_HASH_KEY]
        chosen = []
        for row, key in enumerate(hashes.numpy()):
            if key in wanted:
                wanted.remove(key)
                chosen.append(row)
        if not chosen:
            continue
        found = tf.io.parse_example(tf.gather(batch, chosen), {**_HASH, **_IMAGE})
        for key, image in zip(
            found[example_keys.CONTENT_HASH_KEY].numpy(),
            found[example_keys.IMAGE_KEY].numpy(),
            strict=True,
        ):
            yield key.decode(), image
        if not wanted:
            return
