"""SHA-256, in hexadecimal, of bytes, files and JSON values."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from graft.storage import files

BLOCK_BYTES = 1 << 20


def hash_bytes(content: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def hash_json(value: Any) -> str:
    """Return the SHA-256 of a value as JSON; the order of keys does not count."""
    return hash_bytes(json.dumps(value, sort_keys=True).encode())


def hash_file(path: str, algorithm: str = "sha256") -> str:
    """Return the hash of a file's bytes.

    Args:
        path: The file.
        algorithm: `sha256`, or the one by which others publish their files.

    Raises:
        OSError: It can't be read.
    """
    return hash_files([path], algorithm)


def hash_files(paths: list[str], algorithm: str = "sha256") -> str:
    """Return the hash of the bytes of several files, one after another.

    Raises:
        OSError: One can't be read.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for path in paths:
        with files.open_for_reading(path) as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
