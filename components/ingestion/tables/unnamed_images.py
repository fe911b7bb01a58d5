"""Find images beside those of a manifest that none of its lines names."""

from __future__ import annotations

import os
from collections.abc import Collection

from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree, counted
from graft.contract.errors import DataError
from graft.storage import files
from graft.storage.image_folder import list_image_folder
from graft.storage.left_aside import kind_of_file
from graft.storage.paths import is_remote, join, parent_of


def warn_of_unnamed(
    named: Collection[str], folder: str, image_folder: str | None
) -> list[str]:
    """Return a warning about images that no line of a manifest names, or none.

    Args:
        named: Paths of the images that the lines name.
        folder: The manifest's folder.
        image_folder: See `DataConfig.image_folder`. It is searched with its subfolders;
            without it, the folders of the named images are, without subfolders.
    """
    try:
        unnamed = find_unnamed(named, folder, image_folder)
    except (OSError, DataError) as error:
        return [
            "It is unknown whether there are images that the manifest does not name: "
            f"{error}"
        ]
    if not unnamed:
        return []
    names = some_of(unnamed)
    number = len(unnamed)
    return [
        f"Left aside: {counted(number, 'file')} beside the images of the manifest that "
        f"{agree(number, 'is', 'are')} named by no line ({names})."
    ]


def find_unnamed(
    named: Collection[str], folder: str, image_folder: str | None
) -> list[str]:
    """Return the images that no line of a manifest names, relative to its folder.

    Args:
        named: As for `warn_of_unnamed`.
        folder: As for `warn_of_unnamed`.
        image_folder: As for `warn_of_unnamed`.

    Raises:
        OSError: A folder can't be listed.
        DataError: As for `list_image_folder`.
    """
    known = {_normal(path) for path in named}
    if image_folder:
        root = join(folder, image_folder)
        found = [entry.path for entry in list_image_folder(root).files]
    else:
        found = _files_beside(named)
    return sorted(
        path.removeprefix(f"{folder}/")
        for path in found
        if kind_of_file(path.rpartition("/")[2]) is None and _normal(path) not in known
    )


def _files_beside(named: Collection[str]) -> list[str]:
    found: list[str] = []
    for folder in sorted({parent_of(path) for path in named}):
        if is_remote(folder):
            # The names of folders are among them, mostly without an extension.
            names = (n for n in files.list_folder(folder) if os.path.splitext(n)[1])
            found += (join(folder, name) for name in names)
        elif os.path.isdir(folder):
            with os.scandir(folder) as entries:
                found += (join(folder, each.name) for each in entries if each.is_file())
    return found


def _normal(path: str) -> str:
    return path if is_remote(path) else os.path.normpath(path)
