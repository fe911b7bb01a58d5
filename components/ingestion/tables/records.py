"""List the images in TFRecord files of tf.Examples."""

from __future__ import annotations

import gzip
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, cast

import google_crc32c
import tensorflow as tf

from graft.components.ingestion.names.split_words import with_evaluation_as_test
from graft.components.ingestion.sources.blob import BlobWriter
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.ref_list import RefList
from graft.components.ingestion.sources.source import Listing
from graft.components.ingestion.sources.splitting import (
    ROLE_OF_NAME,
    TRAIN_ROLE,
    splits_of_roles,
)
from graft.components.ingestion.tables.record_keys import require_keys
from graft.components.ingestion.tables.record_labels import RecordLabels
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.contract.example_keys import FILENAME_KEY, SOURCE_KEY
from graft.contract.split_names import SPLITS
from graft.storage import files
from graft.storage.listing import FileEntry

_WORD = re.compile(r"[A-Za-z]+")
# A record: length (8 bytes), its checksum (4), the data, its checksum (4).
_HEADER = struct.Struct("<QI")
_LENGTH_BYTES = 8
_FOOTER = struct.Struct("<I")


def list_images(
    entries: list[FileEntry], config: DataConfig, work_folder: str
) -> Listing:
    """List the images in TFRecord files, reading each file once.

    Args:
        entries: The files. A word such as "train" in the name of a file or folder
            gives its split.
        config: Names the keys of image and label.
        work_folder: Folder for the unpacked images of gzipped files.

    Returns:
        The references, each to the image's bytes within a record.

    Raises:
        DataError: A file is damaged, an example lacks a key, or its label is not a
            single name or index.
    """
    listing = Listing("tfrecord", RefList(is_on_disk=True))
    roles = _roles_of([entry.name for entry in entries])
    given = {role for role in roles.values() if role}
    splits = splits_of_roles(given | {TRAIN_ROLE}, config.validation_becomes)
    labels = RecordLabels(config.tfrecord_label_key)
    for number, entry in enumerate(entries):
        # Beside files of a split, the others must not become its images.
        allowed = splits[roles[entry.name] or TRAIN_ROLE] if given else SPLITS
        is_packed = _is_packed(entry)
        if is_packed:
            path = os.path.join(work_folder, f"unpacked-{number:05d}.blob")
            with BlobWriter(path) as blob:
                for ref, encoded in _images_of(
                    entry, allowed, config, labels, listing, is_packed=True
                ):
                    place = ref._replace(path=path, offset=blob.append(encoded))
                    listing.refs.append(place)
        else:
            found = _images_of(entry, allowed, config, labels, listing, is_packed=False)
            listing.refs.extend(ref for ref, _ in found)
    return listing


def _is_packed(entry: FileEntry) -> bool:
    try:
        with files.open_for_reading(entry.path) as file:
            return file.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise DataError(
            f"The file {entry.path!r} can't be read: {error.strerror or error}. Give "
            "this user the right to read it, or move it out of the data."
        ) from error


def _roles_of(names: Sequence[str]) -> dict[str, str | None]:
    """Return the role of each file by the word in its path."""
    word_of = {name: _split_word_of(name) for name in names}
    words = {word for word in word_of.values() if word}
    roles = with_evaluation_as_test(
        {word: ROLE_OF_NAME[word] for word in words}, {word: [word] for word in words}
    )
    return {name: roles[word] if word else None for name, word in word_of.items()}


def _split_word_of(name: str) -> str | None:
    """Return the word of a split in the last part that has one: Split-train/x."""
    for part in reversed(name.split("/")):
        for word in _WORD.findall(part):
            if word.lower() in ROLE_OF_NAME:
                return str(word.lower())
    return None


def _images_of(
    entry: FileEntry,
    splits: tuple[str, ...],
    config: DataConfig,
    labels: RecordLabels,
    listing: Listing,
    *,
    is_packed: bool,
) -> Iterator[tuple[ImageRef, bytes]]:
    image_key = config.tfrecord_image_key
    source = os.path.basename(entry.name)
    with files.open_for_reading(entry.path) as raw:
        file = cast(IO[bytes], gzip.open(raw, "rb")) if is_packed else raw
        for number, (position, record) in enumerate(_records_of(file, entry)):
            where = f"{entry.path!r}, record {number} (the first is 0)"
            try:
                features = tf.train.Example.FromString(record).features.feature
            except Exception as error:
                raise DataError(
                    f"{where} is not a tf.Example: {error}. "
                    "Write one tf.Example for each image."
                ) from error
            require_keys(features, config, where)
            images = features[image_key].bytes_list.value
            if len(images) > 1:
                raise DataError(
                    f"{where}: the image {image_key!r} has "
                    f"{counted(len(images), 'value')}. Write a record for each image."
                )
            encoded = images[0] if images else b""
            ref = ImageRef(
                entry.path,
                _text_of(features, FILENAME_KEY) or f"{entry.name}:{number}",
                listing.class_of(labels.read(features, where), where),
                _text_of(features, SOURCE_KEY) or source,
                splits,
                len(encoded),
                # A serialized example holds the image's bytes unchanged.
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
    """Yield the position of each record's data in bytes, and the data."""
    position = 0
    try:
        while header := file.read(_HEADER.size):
            if len(header) < _HEADER.size:
                raise EOFError
            length, length_checksum = _HEADER.unpack(header)
            if _checksum(header[:_LENGTH_BYTES]) != length_checksum:
                raise EOFError
            record = file.read(length)
            footer = file.read(_FOOTER.size)
            if len(record) < length or len(footer) < _FOOTER.size:
                raise EOFError
            # A damaged record may hold a wrong label.
            if _FOOTER.unpack(footer) != (_checksum(record),):
                raise DataError(
                    f"{entry.path!r} is damaged: the record at byte {position} does "
                    "not match its checksum. Copy or write the file again."
                )
            yield position + _HEADER.size, record
            position += _HEADER.size + length + _FOOTER.size
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{entry.path!r} is not a TFRecord file, or is truncated: no whole record "
            f"begins at byte {position}. If it holds something else, move it out of "
            "the data; otherwise write it again."
        ) from error


def _checksum(data: bytes) -> int:
    """Return the checksum that TFRecord files store: CRC-32C, rotated and shifted."""
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
