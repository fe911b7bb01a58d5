"""Hash bytes, files and JSON values. Hashes are lower-case hexadecimal text."""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import Any

from graft.storage import files

BLOCK_BYTES = 1 << 20


def hash_bytes(content: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def hash_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value. The order of keys has no effect."""
    return hash_bytes(json.dumps(value, sort_keys=True).encode())


def hash_file(path: str, algorithm: str = "sha256") -> str:
    """Return the hash of a file's bytes.

    Args:
        path: The file.
        algorithm: A name of `hashlib`, such as `md5` for hashes published by others.

    Raises:
        OSError: The file can't be read.
    """
    return hash_files([path], algorithm)


def hash_files(paths: list[str], algorithm: str = "sha256") -> str:
    """Return the hash of the concatenated bytes of several files.

    Args:
        paths: The files, in the order of concatenation.
        algorithm: See `hash_file`.

    Raises:
        OSError: A file can't be read.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for path in paths:
        with files.open_for_reading(path) as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def hash_folder(folder: str) -> dict[str, str]:
    """Return relative path to SHA-256 of every file below a folder, sorted by path.

    Raises:
        OSError: A file can't be read.
    """
    return {
        posixpath.relpath(path, folder): hash_file(path)
        for path in files.files_below(folder)
    }
