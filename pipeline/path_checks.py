"""Refuse paths of a config that a library would misread."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Mapping

from graft.storage.drivers import ALLOWED
from graft.storage.path_hints import hint_about
from graft.storage.paths import is_remote, scheme_of

# TensorFlow reads the variables of a SavedModel by a file pattern. These characters
# can't be escaped in it.
_PATTERN_CHARACTERS = "*?[\\"
# `$HOME` or `${home}`; a folder may well be named `a$b`.
_VARIABLE = re.compile(r"\$(\{\w+\}|[A-Z][A-Z0-9_]+\b)")
# SQLite's limit is 512 bytes, with "-journal" after the name.
_LONGEST_METADATA_PATH = 500


def check_characters(paths: Mapping[str, str | None], folders: Collection[str]) -> None:
    """Check that every library takes each path literally.

    Args:
        paths: Key of the config to path.
        folders: Keys of the folders of models. TensorFlow reads such a path as a
            pattern.

    Raises:
        ValueError: A path has a character that is not allowed; the message names it.
    """
    for key, path in paths.items():
        for letter in path or "":
            reason = ""
            if unicodedata.category(letter) == "Cc":
                reason = "a control character, which breaks logs and lists of files"
            elif key in folders and letter in _PATTERN_CHARACTERS:
                reason = "which TensorFlow reads as part of a file pattern"
            if reason:
                mend = hint_about(path or "") if letter == "\\" else ""
                raise ValueError(
                    f"`{key}` must not hold {letter!r}, {reason}. Received: {path!r}. "
                    + (mend or "Rename the folder, or name another one.")
                )
        variable = _VARIABLE.search(path or "")
        if variable:
            raise ValueError(
                f"`{key}` must not hold {variable[0]!r}: environment variables are not "
                f"expanded in a config. Received: {path!r}. Write the path itself, or "
                f'give it by `--set "{key}=..."`, where your shell expands it.'
            )
        if key != "output" and scheme_of(path or "") == "file":
            raise ValueError(
                f"`{key}` must be a path, or a URI of {ALLOWED}. Received: {path!r}. "
                f"{hint_about(path or '')}"
            )
    output = paths.get("output") or ""
    if re.match("file:", output, re.IGNORECASE):
        mend = hint_about(output) or (
            f"Name another folder, or write {'./' + output!r}."
        )
        raise ValueError(
            "`output` must not begin with `file:`, because SQLite reads it as a URI. "
            f"Received: {output!r}. {mend}"
        )


def check_local_output(output: str, metadata_path: str) -> None:
    """Check that a local run can write to the output folder.

    Raises:
        ValueError: The folder is remote, or its path is too long.
    """
    if is_remote(output):
        raise ValueError(
            "`graft run` writes to a local folder. Received: "
            f"output={output!r}. Name a local `output`; the stores may be remote "
            "(`push.destination`, `features.cache`, `training.checkpoints`)."
        )
    length = len(os.fsencode(os.path.abspath(metadata_path)))
    if length > _LONGEST_METADATA_PATH:
        raise ValueError(
            "The path of `output` is too long: SQLite opens paths of at most "
            f"{_LONGEST_METADATA_PATH} bytes. Received: {length} bytes, for "
            f"{os.path.abspath(metadata_path)!r}. Name a folder with a shorter path."
        )
