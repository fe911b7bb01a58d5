"""Keep the parts of a local store that artifacts refer to from being pruned.

A pin is a file in the namespace. It names the artifact, and holds while that exists:

    <store>/<namespace>/pins/<hash of the artifact's path>.json

A store on a bucket has no pins, since nothing prunes it.
"""

from __future__ import annotations

import json
import os

from graft.storage import atomic, files, hashing
from graft.storage.paths import is_remote, join

PINS_FOLDER = "pins"
_ARTIFACT, _RELATIVE = "artifact", "relative"


def pin(store: str, namespace: str, artifact: str) -> None:
    """Pin a namespace while an artifact exists.

    Args:
        store: Folder or URI of the store.
        namespace: Name of the namespace.
        artifact: Folder or URI of the artifact.

    Raises:
        OSError: The store isn't writable.
    """
    if is_remote(store):
        return
    place = artifact if is_remote(artifact) else os.path.abspath(artifact)
    content = {_ARTIFACT: place}
    if not is_remote(artifact):
        content[_RELATIVE] = os.path.relpath(artifact, store)
    name = f"{hashing.hash_json(place)[:32]}.json"
    path = join(store, namespace, PINS_FOLDER, name)
    atomic.write_text(path, json.dumps(content))


def release_pins(store: str, namespace: str) -> list[str]:
    """Remove the pins of artifacts that are gone.

    Args:
        store: Local folder of the store.
        namespace: Name of the namespace.

    Returns:
        The artifacts that still pin it.
    """
    folder = os.path.join(store, namespace, PINS_FOLDER)
    held: list[str] = []
    for name in files.list_folder(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        if not name.endswith(".json"):
            continue
        try:
            content = json.loads(files.read_small_text(path))
            artifact = str(content[_ARTIFACT])
            is_gone = _is_gone(store, artifact, content.get(_RELATIVE))
        except (OSError, ValueError, TypeError, KeyError):
            held.append(path)  # nobody knows what it pins
            continue
        if is_gone:
            files.remove_file(path)
        else:
            held.append(artifact)
    return held


def _is_gone(store: str, artifact: str, relative: str | None) -> bool:
    """Return whether an artifact surely exists no more.

    A pod may see the store and not the artifact.
    """
    if is_remote(artifact):
        return not files.exists(artifact)
    places = [artifact]
    if relative is not None:
        places.append(os.path.normpath(os.path.join(store, relative)))
    if any(map(os.path.isdir, places)):
        return False
    return any(_would_be_seen(store, place) for place in places)


def _would_be_seen(store: str, artifact: str) -> bool:
    """Return whether an artifact would be seen here if it existed.

    Its folder is there, or what is left of its path lies on the disk of the store.
    """
    left = os.path.dirname(artifact)
    if os.path.isdir(left):
        return True
    while not os.path.isdir(left):
        left = os.path.dirname(left)
    return os.stat(left).st_dev == os.stat(store).st_dev
