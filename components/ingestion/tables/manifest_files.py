"""Find the file of an image that a manifest names."""

from __future__ import annotations

import os
import re
from collections import defaultdict

from graft.components.ingestion.sources.source import some_of
from graft.contract.errors import DataError
from graft.storage import files
from graft.storage.drivers import ALLOWED, SCHEMES
from graft.storage.left_aside import kind_of_file
from graft.storage.path_hints import hint_about
from graft.storage.paths import is_remote, join, name_of, parent_of, scheme_of

_WINDOWS = re.compile(r"[A-Za-z]:[\\/](?!/)|\\\\")
_IMAGE_EXTENSIONS = frozenset(".jpg .jpeg .png .gif .bmp .webp".split())


class ManifestFiles:
    """The image files of one manifest.

    A name without extension, for instance an id, means the file with that stem. Names
    may contain the backslashes of Windows.

    Args:
        folder: The manifest's folder.
        image_folder: See `DataConfig.image_folder`.

    Raises:
        DataError: There is no such folder of images.
    """

    def __init__(self, folder: str, image_folder: str | None = None) -> None:
        self._folder = join(folder, image_folder) if image_folder else folder
        if image_folder:
            _require_folder(self._folder, image_folder)
        self._names_by_stem: dict[str, dict[str, list[str]]] = {}

    def path_of(self, name: str, where: str) -> str:
        """Return the path of an image. The file may be missing.

        Args:
            name: The image's path in the manifest.
            where: The manifest and the line, for a message.

        Raises:
            DataError: Several files have this stem, or the path is one of another
                system.
        """
        path = join(self._folder, name)
        foreign = _foreign(name)
        if foreign and not self._exists(path):
            raise DataError(f"{where}: the image's path is {name!r}, {foreign}.")
        if os.path.splitext(name)[1].lower() in _IMAGE_EXTENSIONS and (
            "\\" not in name or self._exists(path)
        ):
            return path
        if not is_remote(path) and os.path.lexists(path):
            return path
        name = name.replace("\\", "/")
        path = join(self._folder, name)
        if os.path.splitext(name)[1].lower() in _IMAGE_EXTENSIONS:
            return path
        folder = parent_of(path)
        found = self._stems_of(folder).get(name_of(path), [])
        if len(found) > 1:
            raise DataError(
                f"{where}: the image {name!r} may be any of {some_of(sorted(found))} "
                f"in {folder!r}. Write the extension, too."
            )
        return join(folder, found[0]) if found else path

    def _exists(self, path: str) -> bool:
        return not is_remote(path) and os.path.lexists(path)

    def _stems_of(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._names_by_stem:
            stems: dict[str, list[str]] = defaultdict(list)
            if files.is_folder(folder):
                for name in files.list_folder(folder):
                    if kind_of_file(name) is None:
                        stems[os.path.splitext(name)[0]].append(name)
            self._names_by_stem[folder] = stems
        return self._names_by_stem[folder]


def _require_folder(path: str, image_folder: str) -> None:
    foreign = _foreign(image_folder)
    if not foreign and files.is_folder(path):
        return
    hint = hint_about(image_folder if foreign else path)
    mend = hint or "It is looked for from the manifest's own folder."
    raise DataError(
        "`data.image_folder` must name an existing folder. "
        f"Received: {image_folder!r}, that is {path!r}. {mend}"
    )


def _foreign(name: str) -> str:
    """Say what a path of another system is, and what to write; "" for other paths."""
    if _WINDOWS.match(name):
        return (
            "a path of Windows. Write it from the manifest's folder, such as "
            "'cat/1.jpg', or from the folder that `image_folder` names"
        )
    scheme = scheme_of(name)
    if scheme == "file":
        return f"a URI. {hint_about(name).rstrip('.')}"
    if scheme and scheme not in SCHEMES:
        return (
            f"a URI of {scheme}://. Download the images, or copy them to {ALLOWED}, "
            "and write their paths there"
        )
    return ""
