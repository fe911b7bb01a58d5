"""The files of a data set: a folder listed without what file managers leave in it."""

from __future__ import annotations

import errno

from graft.contract.errors import DataError
from graft.storage import listing
from graft.storage.drivers import StorageError
from graft.storage.listing import Tree

_IGNORED_NAMES = frozenset(
    ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"]
)


def list_tree(root: str) -> Tree:
    """List all files below a folder, but for hidden ones and those of file managers.

    Args:
        root: A folder, local or remote. Links to folders are followed.

    Returns:
        The files, in the order of their names.

    Raises:
        DataError: A folder can't be listed, or a link leads back to where it came from.
    """
    try:
        return listing.list_tree(root, _is_ignored)
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


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _IGNORED_NAMES
