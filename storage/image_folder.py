"""List a folder of images, without files that operating systems add."""

from __future__ import annotations

import errno
from collections import Counter

from graft.contract.errors import DataError
from graft.storage import left_aside, listing
from graft.storage.drivers import StorageError
from graft.storage.listing import Tree


def list_image_folder(
    root: str, *, follow_links: bool = True, skip_loops: bool = False
) -> Tree:
    """List all files below a folder, without those that no person put there.

    Sidecars, such as label tables, are listed: see `left_aside.kind_of_sidecar`.

    Args:
        root: A folder, local or remote.
        follow_links: See `list_tree`.
        skip_loops: See `list_tree`.

    Returns:
        The files in the order of their names. `ignored` names the others.

    Raises:
        DataError: A folder can't be listed, or a link leads back to a folder above it.
    """
    try:
        return listing.list_tree(
            root,
            _is_ignored,
            left_aside.OUTPUT_MARKER,
            follow_links=follow_links,
            skip_loops=skip_loops,
        )
    except StorageError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP and error.filename2:
            raise DataError(
                "A symbolic link leads back to a folder that contains it: "
                f"{error.filename!r} is {error.filename2!r} again. Remove the link."
            ) from error
        raise DataError(
            f"The folder {error.filename or root!r} can't be listed: "
            f"{error.strerror or error}. Give this user the right to read it, or move "
            "it out of the data."
        ) from error


def kinds_of_ignored(tree: Tree) -> Counter[str]:
    """Return the number of ignored files of a tree by kind."""
    kinds: Counter[str] = Counter()
    for name, number in tree.ignored.items():
        kinds[kind_of_ignored(name)] += number
    return kinds


def kind_of_ignored(name: str) -> str:
    """Return the kind of a name in `Tree.ignored`."""
    last = name.rstrip("/").rpartition("/")[2]
    kind = left_aside.kind_of_path(last, is_folder=name.endswith("/"))
    # A folder of another name was ignored because of its marker.
    return kind or left_aside.OUTPUT


def _is_ignored(name: str, is_folder: bool) -> bool:
    return left_aside.kind_of_path(name, is_folder=is_folder) is not None
