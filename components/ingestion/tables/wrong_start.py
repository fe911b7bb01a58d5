"""Stop where most paths of a manifest lead to no file, and say where the files are."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef, printable
from graft.components.ingestion.sources.layout_answers import (
    Option,
    settings_as_arguments,
)
from graft.components.ingestion.sources.missing_files import hint_about_file
from graft.components.ingestion.tables.manifest_files import ManifestFiles
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.storage.paths import is_remote

_MOST_TRIED = 20
_MOST_FOLDERS = 2000
_LEVELS_ABOVE = 3
_SHARE_MISSING = 0.5
_SHARE_FOUND = 0.5
_ZERO_FRACTION = re.compile(r"(?<=\d)\.0+$")


class Start(NamedTuple):
    """How the images of a manifest are found.

    Attributes:
        file: One of them, as it is found.
        mend: What to do, as a sentence.
    """

    file: str
    mend: str


def require_right_start(
    refs: Sequence[ImageRef], config: DataConfig, folder: str
) -> None:
    """Refuse a manifest if most of its images don't exist.

    Args:
        refs: The images of the manifest, with their names as they are written there.
        config: Names the manifest and the folder of its images.
        folder: The folder that the paths start from without `image_folder`.

    Raises:
        DataError: Most images are missing. The message says where graft looked for one,
            and, if they are found elsewhere, what to set.
    """
    missing = [ref for ref in refs if ref.size is None and not is_remote(ref.path)]
    if len(missing) <= _SHARE_MISSING * len(refs) or not missing:
        return
    missing = [ref for ref in missing if not os.path.lexists(ref.path)]
    if len(missing) <= _SHARE_MISSING * len(refs):
        return  # they exist, and can't be read
    first = missing[0]
    found = _start_of(missing[:_MOST_TRIED], folder, config)
    if found is None and hint_about_file(first.path):
        return  # ingestion names the file that each path means
    mend = (
        f"{found.file!r} exists. {found.mend}"
        if found
        else "No file of these names is there, or below. Correct the paths, or copy "
        "the images there."
    )
    raise DataError(
        f"{counted(len(missing), 'image')} of {len(refs):,} that {config.path!r} names "
        f"{'do' if len(missing) > 1 else 'does'} not exist, such as "
        f"{printable(first.name)!r}: graft looked for {printable(first.path)!r}. Paths "
        f"start from the manifest's folder, {printable(folder)!r}, or from "
        f"`image_folder` in it. {mend}"
    )


def _start_of(
    refs: Sequence[ImageRef], folder: str, config: DataConfig
) -> Start | None:
    """Return how most of the images are found, if one change to all paths does it."""
    names = [ref.name.replace("\\", "/") for ref in refs]
    tried = itertools.chain(
        _without_image_folder(names, folder, config),
        _from_other_folders(refs, names, folder),
        _without_folders(names, refs, folder),
        _as_whole_numbers(names, refs, folder),
    )
    return next(tried, None)


def _without_image_folder(
    names: Sequence[str], folder: str, config: DataConfig
) -> Iterator[Start]:
    if config.image_folder and (file := _found_in(folder, names)):
        yield Start(file, "Leave `image_folder` out.")


def _from_other_folders(
    refs: Sequence[ImageRef], names: Sequence[str], folder: str
) -> Iterator[Start]:
    """Try the folders below the manifest's, and those above it."""
    stems = [_as_written(ref, name) for ref, name in zip(refs, names, strict=True)]
    above = [os.path.join(*[".."] * level) for level in range(1, _LEVELS_ABOVE + 1)]
    below = (
        os.path.relpath(place, folder)
        for place, _, _ in itertools.islice(os.walk(folder), _MOST_FOLDERS)
    )
    for place in itertools.chain(above, below):
        if file := _found_in(os.path.join(folder, place), stems):
            option = Option({"image_folder": place}, "")
            setting = settings_as_arguments(option, folder)
            shown = os.path.normpath(file)
            yield Start(shown, f"Set `{setting}`.")


def _as_written(ref: ImageRef, name: str) -> str:
    """Return a relative name; an absolute one is never found elsewhere."""
    return name if not name.startswith("/") else ref.path


def _without_folders(
    names: Sequence[str], refs: Sequence[ImageRef], folder: str
) -> Iterator[Start]:
    """Try the paths without their first folders."""
    most = max(name.count("/") for name in names)
    for number in range(1, most + 1):
        cut = [name.split("/", number)[-1] for name in names]
        start = names[0][: len(names[0]) - len(cut[0])]
        if file := _found_in(folder, cut):
            yield Start(
                os.path.relpath(file, folder),
                f"Write the paths without {start!r} at their beginning.",
            )


def _as_whole_numbers(
    names: Sequence[str], refs: Sequence[ImageRef], folder: str
) -> Iterator[Start]:
    """Try `1` for `1.0`: a program reads ids as fractions, if one is blank."""
    whole = [_ZERO_FRACTION.sub("", name) for name in names]
    if whole == names:
        return
    mend = f"Write whole numbers, such as {whole[0]!r} for {names[0]!r}."
    if file := _found_in(folder, whole):
        yield Start(os.path.relpath(file, folder), mend)
    for start in _from_other_folders(refs, whole, folder):
        yield Start(start.file, f"{mend} {start.mend}")


def _found_in(folder: str, names: Sequence[str]) -> str | None:
    """Return the first file, if most names lead to one from a folder."""
    files = ManifestFiles(folder)
    found = []
    for name in names:
        try:
            path = files.path_of(name, "")
            if os.path.isfile(path):
                found.append(path)
        except (DataError, OSError, ValueError):
            continue  # several files, or no path
    return found[0] if len(found) > _SHARE_FOUND * len(names) else None
