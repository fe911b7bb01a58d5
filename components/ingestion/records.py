"""Sources that are TFRecord files of tf.Examples."""

from __future__ import annotations

import gzip
import os
import re
import struct
from collections.abc import Iterator
from typing import IO, cast

import tensorflow as tf

from graft.components.ingestion.blob import BlobWriter
from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.image_ref import ImageRef
from graft.components.ingestion.source import Listing, class_name_of
from graft.components.ingestion.splitting import ROLE_OF_NAME, splits_of_roles
from graft.contract.errors import DataError
from graft.contract.example_keys import FILENAME_KEY, SOURCE_KEY
from graft.contract.split_names import SPLITS
from graft.storage import files
from graft.storage.listing import FileEntry

_WORD = re.compile(r"[A-Za-z]+")
# A record: length (8 bytes), its checksum (4), the data, its checksum (4).
_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_LARGEST_RECORD_BYTES = 1 << 31


def list_images(
    entries: list[FileEntry], config: DataConfig, work_folder: str
) -> Listing:
    """List the images in TFRecord files, reading each file once.

    Args:
        entries: The files. A word such as "train" in a file's or folder's name is its
            split.
        config: Names the keys of image and label.
        work_folder: Where the images of gzipped files are unpacked to.

    Returns:
        The references, each to the image's bytes within a record.

    Raises:
        DataError: A file is damaged, or an example lacks a key.
    """
    listing = Listing("tfrecord")
    roles = {entry.name: _role_of(entry.name) for entry in entries}
    splits = splits_of_roles(
        {role for role in roles.values() if role}, config.validation_becomes
    )
    for number, entry in enumerate(entries):
        role = roles[entry.name]
        allowed = splits[role] if role else SPLITS
        with files.open_for_reading(entry.path) as file:
            is_packed = file.read(2) == b"\x1f\x8b"
        if is_packed:
            path = os.path.join(work_folder, f"unpacked-{number:05d}.blob")
            with BlobWriter(path) as blob:
                for ref, encoded in _images_of(entry, allowed, config, is_packed=True):
                    place = ref._replace(path=path, offset=blob.append(encoded))
                    listing.refs.append(place)
        else:
            found = _images_of(entry, allowed, config, is_packed=False)
            listing.refs.extend(ref for ref, _ in found)
    return listing


def _role_of(name: str) -> str | None:
    """Find the role in the last part of a name that has one, as in Split-train/x."""
    for part in reversed(name.split("/")):
        for word in _WORD.findall(part):
            if word.lower() in ROLE_OF_NAME:
                return ROLE_OF_NAME[word.lower()]
    return None


def _images_of(
    entry: FileEntry, splits: tuple[str, ...], config: DataConfig, *, is_packed: bool
) -> Iterator[tuple[ImageRef, bytes]]:
    image_key, label_key = config.tfrecord_image_key, config.tfrecord_label_key
    source = os.path.basename(entry.name)
    with files.open_for_reading(entry.path) as raw:
        file = cast(IO[bytes], gzip.open(raw, "rb")) if is_packed else raw
        for number, (position, record) in enumerate(_records_of(file, entry)):
            where = f"{entry.path!r}, record {number}"
            try:
                features = tf.train.Example.FromString(record).features.feature
            except Exception as error:
                raise DataError(f"{where} is no tf.Example: {error}.") from error
            for key in (image_key, label_key):
                if key not in features:
                    raise DataError(
                        f"{where} has no feature {key!r}. Received: "
                        f"{sorted(features)}. Name yours by `tfrecord_image_key` and "
                        "`tfrecord_label_key`."
                    )
            values = features[image_key].bytes_list.value
            encoded = values[0] if values else b""
            label = features[label_key]
            text = (
                label.bytes_list.value[0].decode("utf-8", "replace")
                if label.bytes_list.value
                else "".join(map(str, label.int64_list.value[:1]))
            )
            ref = ImageRef(
                entry.path,
                _text_of(features, FILENAME_KEY) or f"{entry.name}:{number}",
                class_name_of(text, where),
                _text_of(features, SOURCE_KEY) or source,
                splits,
                len(encoded),
                # A serialized example holds the image's bytes as they are.
                position + record.find(encoded),
            )
            yield ref, encoded


def _text_of(features: object, key: str) -> str:
    # Indexing a protobuf map would add the key.
    if key not in features:  # type: ignore[operator]
        return ""
    values = features[key].bytes_list.value  # type: ignore[index]
    return values[0].decode("utf-8", "replace") if values else ""


def _records_of(file: IO[bytes], entry: FileEntry) -> Iterator[tuple[int, bytes]]:
    """Yield the position of each record's data, in bytes, and the data."""
    position = 0
    try:
        while header := file.read(_HEADER.size):
            length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else -1
            if not 0 <= length < _LARGEST_RECORD_BYTES:
                raise EOFError
            record = file.read(length)
            if len(record) < length or len(file.read(_FOOTER_BYTES)) < _FOOTER_BYTES:
                raise EOFError
            yield position + _HEADER.size, record
            position += _HEADER.size + length + _FOOTER_BYTES
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(
            f"{entry.path!r} is no TFRecord file, or is cut off: no whole record "
            f"begins at byte {position}. Write it again."
        ) from error
