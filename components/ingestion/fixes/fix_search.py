"""Find the images that label fixes mean, by content hash or path.

Only the files that a fix may mean are read for their hashes, unless an image is not
where its row says.
"""

from __future__ import annotations

import logging
import os
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from graft.components.ingestion.fixes.fix_rows import Fix
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef, printable
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.storage.paths import expand_home

HashImages = Callable[[list[ImageRef]], dict[int, str]]
"""Returns position to SHA-256, for the images that can be read."""

logger = logging.getLogger(__name__)


class ImageSearch:
    """Find the images that fixes mean.

    Attributes:
        hashes: Position to content hash, of the images that were read for it.
    """

    def __init__(
        self, refs: Sequence[ImageRef], config: DataConfig, hash_images: HashImages
    ) -> None:
        self._refs = refs
        self._config = config
        self._hash_images = hash_images
        self.hashes: dict[int, str] = {}
        self._hashed: set[int] = set()

    def positions_of(self, fixes: Sequence[Fix], first_added: int) -> list[list[int]]:
        """Return the positions of each fix's image; none if it is not in the data.

        Args:
            fixes: The fixes.
            first_added: Position of the first added image. They are in the order of
                their fixes.
        """
        added = iter(range(first_added, len(self._refs)))
        own = {i: next(added) for i, fix in enumerate(fixes) if fix.kind == "add"}
        paths = {fix.path for fix in fixes if fix.path and fix.kind != "add"}
        by_path = self._by_path(paths, first_added)
        by_path |= self._added_by_path(paths - by_path.keys(), first_added)
        self._hash({p for places in by_path.values() for p in places} | {*own.values()})
        by_hash = self._by_hash(
            {fix.content_hash for fix in fixes if fix.content_hash is not None}
        )
        found = []
        for index, fix in enumerate(fixes):
            if index in own:
                self._require_content(fix, [own[index]], by_hash)
                found.append([own[index]])
                continue
            located = by_path.get(fix.path or "", [])
            if fix.content_hash is None:
                found.append(self._one_image(fix, located))
            else:
                self._require_content(fix, located, by_hash)
                found.append(by_hash.get(fix.content_hash, []))
        return found

    def _by_path(
        self, paths: Collection[str], first_added: int
    ) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        names = [printable(ref.name) for ref in self._refs[:first_added]]
        for position, name in enumerate(names):
            if name in paths:
                found[name].append(position)
        # As spreadsheets, Windows and macOS may have changed it.
        loose: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            if path not in found:
                loose[self._plain(path)].append(path)
        if loose:
            for position, name in enumerate(names):
                for path in loose.get(_plain_name(name), ()):
                    found[path].append(position)
        return dict(found)

    def _added_by_path(
        self, paths: Collection[str], first_added: int
    ) -> dict[str, list[int]]:
        """Return the positions of added images; the data's own were looked for."""
        names: dict[str, set[int]] = defaultdict(set)
        for position in range(first_added, len(self._refs)):
            ref = self._refs[position]
            for name in (printable(ref.name), ref.path):
                names[_plain_name(name)].add(position)
        found = {path: names[_plain_name(path.strip())] for path in paths if names}
        return {path: sorted(places) for path, places in found.items() if places}

    def _plain(self, path: str) -> str:
        root = _plain_name(os.path.abspath(expand_home(self._config.path)))
        plain = _plain_name(path.strip())
        for folder in (root, posixpath.dirname(root)):
            if plain.startswith(f"{folder}/"):
                return plain[len(folder) + 1 :]
        return plain

    def _hash(self, positions: Collection[int]) -> None:
        todo = sorted(set(positions) - self._hashed)
        self._hashed |= set(todo)
        if not todo:
            return
        hashes = self._hash_images([self._refs[position] for position in todo])
        self.hashes |= {todo[index]: found for index, found in hashes.items()}

    def _by_hash(self, wanted: set[str]) -> dict[str, list[int]]:
        """Return the positions of all copies of the wanted images."""
        lost = wanted - set(self.hashes.values())
        if lost:
            logger.info(
                "Reading all %d images, to find those of %d label fixes by content.",
                len(self._refs),
                len(lost),
            )
            self._hash(range(len(self._refs)))
        elif wanted:
            sizes = {
                self._refs[position].size
                for position, found in self.hashes.items()
                if found in wanted
            }
            is_any_unknown = None in sizes
            self._hash(
                [
                    position
                    for position, ref in enumerate(self._refs)
                    if is_any_unknown or ref.size is None or ref.size in sizes
                ]
            )
        by_hash: dict[str, list[int]] = defaultdict(list)
        for position, found in sorted(self.hashes.items()):
            if found in wanted:
                by_hash[found].append(position)
        return dict(by_hash)

    def _one_image(self, fix: Fix, located: list[int]) -> list[int]:
        """Refuse a path that several images have."""
        places = {(self._refs[p].path, self._refs[p].offset) for p in located}
        contents = {self.hashes.get(position, position) for position in located}
        if len(places) > 1 and len(contents) > 1:
            raise DataError(
                f"{fix.where}: {fix.path!r} is the name of "
                f"{counted(len(contents), 'image')}. Name one of them by "
                "`content_hash`."
            )
        return located

    def _require_content(
        self, fix: Fix, located: list[int], by_hash: dict[str, list[int]]
    ) -> None:
        """Refuse a row whose path and hash name different images."""
        wanted = fix.content_hash
        if wanted is None or not located:
            return
        if any(self.hashes.get(position) == wanted for position in located):
            return
        others = [printable(self._refs[p].name) for p in by_hash.get(wanted, [])]
        if others:
            raise DataError(
                f"{fix.where}: path and content_hash name different images. Received: "
                f"{fix.path!r}, and a hash that is that of {some_of(others)}. Clear "
                "one of the two cells."
            )
        raise DataError(
            f"{fix.where}: the content of {fix.path!r} is not that of `content_hash`: "
            "the file was changed, or is another one. Delete the row; or clear its "
            "`content_hash`, and the fix holds for what the file holds now."
        )


def _plain_name(name: str) -> str:
    """Return a path with forward slashes, in Unicode's composed form."""
    return posixpath.normpath(unicodedata.normalize("NFC", name.replace("\\", "/")))
