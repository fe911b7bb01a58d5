"""Find the image files that command-line arguments name."""

from __future__ import annotations

import errno
import glob
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from graft.contract.counts import counted
from graft.storage import files, left_aside
from graft.storage.image_folder import kinds_of_ignored, list_image_folder
from graft.storage.path_hints import hint_about
from graft.storage.paths import expand_home

MOST_BYTES = 256 * 2**20
"""Most bytes of an image file, as ingestion's `max_file_bytes` has it by default."""
_LOOP = "links back to a folder above"


@dataclass
class FoundImages:
    """Files to classify.

    Attributes:
        paths: The files, in the order of the arguments and of their names.
        left_aside: How many files of folders and patterns were left aside, by kind.
    """

    paths: list[Path] = field(default_factory=list)
    left_aside: Counter[str] = field(default_factory=Counter)

    def describe_left_aside(self) -> str:
        """Return one line on what was left aside, or ""."""
        number = self.left_aside.total()
        if not number:
            return ""
        kinds = left_aside.describe(self.left_aside)
        return f"{counted(number, 'file')} left aside: {kinds}\n"


def find_images(arguments: Iterable[str]) -> FoundImages:
    """Find the files of file paths, folders (with their subfolders) and patterns.

    A file that is given by its name is always among them. Of a folder and of a pattern
    all files are, but for those that ingestion leaves aside by their names. So a file
    that is no image is refused by its name, as ingestion quarantines it. An existing
    name is used as it is, even if it contains a `*`.

    Raises:
        FileNotFoundError: If an argument matches no file; the message names it.
        DataError: A folder can't be listed.
    """
    found = FoundImages()
    for argument in arguments:
        path = Path(expand_home(argument))
        before = len(found.paths)
        skipped: Counter[str] = Counter()
        if path.is_dir():
            tree = list_image_folder(str(path), skip_loops=True)
            skipped += kinds_of_ignored(tree) + Counter([_LOOP] * len(tree.loops))
            _take_images((Path(entry.path) for entry in tree.files), found, skipped)
        elif os.path.lexists(path):
            found.paths.append(path)
        else:
            matches = map(Path, sorted(glob.glob(str(path), recursive=True)))
            _take_images(
                (each for each in matches if not each.is_dir()), found, skipped
            )
        found.left_aside += skipped
        if len(found.paths) == before:
            reasons = [f"There is no image at {argument!r}"]
            if skipped:
                reasons.append(f"left aside: {left_aside.describe(skipped)}")
            hint = "" if path.exists() else hint_about(argument)
            mend = hint or "Give image files, folders of them, or patterns."
            raise FileNotFoundError(f"{'; '.join(reasons)}. {mend}")
    return found


def read_image(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises:
        OSError: It can't be read, is no regular file, or larger than `MOST_BYTES`.
    """
    if files.size_of(str(path)) > MOST_BYTES:
        message = f"it is larger than {MOST_BYTES >> 20} MiB"
        raise OSError(errno.EFBIG, message, str(path))
    return files.read_bytes(str(path))


def _take_images(
    paths: Iterable[Path], found: FoundImages, skipped: Counter[str]
) -> None:
    for path in paths:
        kind = left_aside.kind_of_file(path.name)
        if kind is None:
            found.paths.append(path)
        else:
            skipped[kind] += 1
