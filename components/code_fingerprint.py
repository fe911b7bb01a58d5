"""A hash of our own code, for TFX's cache.

TFX's cache key holds the inputs and execution properties of a node. A function named by
its dotted path is only a string there: a changed `run_fn` would be answered with the
old result. So every node carries a hash of the source files that it runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

_SOURCES = ("*.py", "*.jinja")
_LIBRARIES = ("keras", "tensorflow", "tensorflow-transform", "tfx")


def code_fingerprint(*modules: str) -> str:
    """Hash the source of modules and the releases of the libraries under them.

    Args:
        *modules: Dotted names; a package stands for every module below it.

    Returns:
        64 hexadecimal digits.

    Raises:
        ModuleNotFoundError: A name is no module.
    """
    digest = hashlib.sha256()
    for name in _LIBRARIES:
        digest.update(f"{name}=={metadata.version(name)}\n".encode())
    for module in sorted(modules):
        for path in _source_files(module):
            digest.update(f"{module}/{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _source_files(module: str) -> Iterator[Path]:
    spec = util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module {module!r}")
    origin = Path(spec.origin)
    if origin.name == "__init__.py":
        for pattern in _SOURCES:
            yield from sorted(origin.parent.rglob(pattern))
    else:
        yield origin
