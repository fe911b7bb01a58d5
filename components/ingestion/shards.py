"""The shards that ingestion writes: per split a file with image bytes, one without."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from graft.contract.split_names import SPLITS
from graft.storage import copying, files, tfrecords
from graft.storage.paths import join

SHARD_NAME = "data_tfrecord-{number:05d}-of-{total:05d}"

EXAMPLES = "examples"
METADATA = "metadata"
KINDS = (EXAMPLES, METADATA)
"""Whole examples, and the same without the images' bytes."""


class ShardFolders:
    """The folders of the shards.

    Example:
        folders = ShardFolders(examples, metadata, work)
        with folders.writers(number=0, total=2) as writers:
            writers[EXAMPLES, "train"].write(record)
    """

    def __init__(self, examples_uri: str, metadata_uri: str, work_folder: str) -> None:
        """Name the folders.

        Args:
            examples_uri: Folder of whole examples.
            metadata_uri: Folder of the same without the images' bytes.
            work_folder: Folder for unfinished files.
        """
        self._uris = {EXAMPLES: examples_uri, METADATA: metadata_uri}
        self._work_folder = work_folder

    def path(self, kind: str, split: str, number: int, total: int) -> str:
        """Return the path of a shard's file."""
        name = SHARD_NAME.format(number=number, total=total)
        return join(self._uris[kind], f"Split-{split}", name)

    def set_aside(self, kind: str, split: str, number: int, total: int) -> str:
        """Move a written file to the work folder; return its path there.

        A retry uses the file that the first try moved, not one that it has rewritten.
        """
        name = SHARD_NAME.format(number=number, total=total)
        aside = join(self._work_folder, f"aside-{kind}-{split}-{name}")
        if not files.exists(aside):
            copying.move_file(self.path(kind, split, number, total), aside)
        return aside

    @contextlib.contextmanager
    def writers(self, number: int, total: int) -> Iterator[dict[tuple[str, str], Any]]:
        """Open the files of a shard. They get their final names at the end.

        Yields:
            Record writers by kind and split.
        """
        name = SHARD_NAME.format(number=number, total=total)
        places = {
            (kind, split): join(self._work_folder, f"{kind}-{split}-{name}")
            for kind in KINDS
            for split in SPLITS
        }
        with contextlib.ExitStack() as stack:
            yield {
                key: stack.enter_context(tfrecords.writer(written))
                for key, written in places.items()
            }
        for (kind, split), written in places.items():
            final = self.path(kind, split, number, total)
            files.make_parent(final)
            copying.move_file(written, final)
