"""A hash of the code that a node runs, for TFX's cache.

TFX's cache key has the inputs and execution properties of a node, but not its code. So
a changed node would return the old result. Therefore each node has a hash of its code
as an execution property.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from graft.pipeline.source_code import read_source

_NAMESPACE = "graft"
_OWN_PACKAGES = (_NAMESPACE, "graft_client")

FolderOf = Callable[[str], Path | None]
"""Maps the name of a package, such as `graft.trainer`, to its folder."""


def installed_folder(package: str) -> Path | None:
    """Return the folder of a package directly below `graft`; None if there is none.

    `graft` is a namespace without code, so finding its packages runs no code.
    """
    spec = util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


@dataclass(frozen=True)
class _Module:
    """What one module adds to a fingerprint.

    Attributes:
        lines: Digests of its code and of the files that it loads.
        needs: Modules of this repository that it imports or starts, and their packages.
        distributions: Distributions that it imports.
    """

    lines: tuple[str, ...]
    needs: frozenset[str]
    distributions: frozenset[str]


class CodeFingerprints:
    """Hashes the code that modules, classes or functions depend on.

    A module is read once, when a fingerprint first needs it. Later edits do not count.

    Args:
        folder_of: Returns the folder of a package.
    """

    def __init__(self, folder_of: FolderOf = installed_folder) -> None:
        self._folder_of = functools.cache(folder_of)
        self._path = functools.cache(self._find_path)
        self._module = functools.cache(self._read_module)
        self._version = functools.cache(_version)

    def of(self, *names: str) -> str:
        """Hash the code behind some names.

        No module is run. From the given names, the hash follows:
          - imports of modules of `graft`, at the top of a module or within a function,
            and the packages of these modules
          - modules whose full name is a string, as in the command of a subprocess
          - files and folders beside a module whose name is a string, such as templates
          - imports of other distributions, of which only the version counts

        Args:
            *names: Dotted names, such as an executor's class path.

        Returns:
            64 hexadecimal digits.

        Raises:
            ModuleNotFoundError: A name of graft belongs to no module.
        """
        waiting: list[str] = []
        distributions: set[str] = set()
        for name in names:
            if not _is_own(name):
                distributions |= _distributions([name])
                continue
            modules = self._with_packages([name])
            if not modules:
                raise ModuleNotFoundError(f"no module holds {name!r}", name=name)
            waiting += modules
        reached: dict[str, _Module] = {}
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached[name] = self._module(name)
                waiting += reached[name].needs
        lines = [line for module in reached.values() for line in module.lines]
        distributions.update(*(module.distributions for module in reached.values()))
        lines += [f"{name}=={self._version(name)}" for name in distributions]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def _read_module(self, module: str) -> _Module:
        path = self._path(module)
        if path is None:
            raise ModuleNotFoundError(f"no module is {module!r}", name=module)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        source = read_source(path.read_bytes(), package)
        imported = set(filter(_is_own, source.imports))
        started = set(filter(self._path, filter(_is_own, source.dotted_names)))
        # `python -m` runs `__main__` of a package.
        started |= {f"{name}.__main__" for name in started}
        files = _files_beside(path.parent, source.file_names)
        return _Module(
            lines=(
                f"{module} {source.digest}",
                *(f"{module} {name} {_sha256(file)}" for name, file in files),
            ),
            needs=frozenset(self._with_packages(imported | started)),
            distributions=frozenset(_distributions(source.imports - imported)),
        )

    def _with_packages(self, names: Iterable[str]) -> set[str]:
        """Return the modules among dotted names and their prefixes."""
        return {
            module
            for name in names
            for module in _prefixes(name)
            if self._path(module) is not None
        }

    def _find_path(self, module: str) -> Path | None:
        """Return the file of a module of this repository, or None."""
        if module == _NAMESPACE:
            return None
        parts = module.split(".")
        depth = 2 if parts[0] == _NAMESPACE else 1
        folder = self._folder_of(".".join(parts[:depth]))
        if folder is None:
            return None
        path = os.path.join(folder, *parts[depth:])
        for candidate in (f"{path}{os.sep}__init__.py", f"{path}.py"):
            if os.path.isfile(candidate):
                return Path(candidate)
        return None


def _files_beside(folder: Path, names: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """Yield relative name and path of the files of some names, and of those in folders.

    A folder that is a package is none of them.
    """
    for name in sorted(names & set(os.listdir(folder))):
        path = folder / name
        if path.is_file():
            yield name, path
        elif not (path / "__init__.py").exists():
            for each in path.rglob("*"):
                if each.is_file() and "__pycache__" not in each.parts:
                    yield each.relative_to(folder).as_posix(), each


def _is_own(name: str) -> bool:
    """Return whether a dotted name begins with a package of this repository."""
    return name.partition(".")[0] in _OWN_PACKAGES


def _prefixes(name: str) -> Iterator[str]:
    """Yield `a`, `a.b` and `a.b.c` for `a.b.c`. An import also runs the packages."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _distributions(names: Iterable[str]) -> set[str]:
    """Return the distributions of modules, without the standard library."""
    found: set[str] = set()
    for name in names:
        if name.partition(".")[0] not in sys.stdlib_module_names:
            found |= _distributions_of(name)
    return found


@functools.cache
def _distributions_of(name: str) -> frozenset[str]:
    top = name.partition(".")[0]
    candidates = _distributions_by_top_level().get(top, [])
    if not candidates:
        return frozenset([top])
    if len(candidates) == 1:
        return frozenset(candidates)
    # Many distributions share `google`. The longest matching path tells them apart.
    for module in reversed(list(_prefixes(name))):
        path = module.replace(".", "/")
        owners = frozenset(
            distribution
            for distribution in candidates
            if _files(distribution) & {f"{path}.py", f"{path}/__init__.py"}
        )
        if owners:
            return owners
    return frozenset(candidates)


@functools.cache
def _distributions_by_top_level() -> dict[str, list[str]]:
    return {
        top: sorted({re.sub(r"[-_.]+", "-", name).lower() for name in names})
        for top, names in metadata.packages_distributions().items()
    }


@functools.cache
def _files(distribution: str) -> frozenset[str]:
    files = metadata.files(distribution) or []
    return frozenset(str(path) for path in files)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
