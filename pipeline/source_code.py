"""Read Python source without running it: its imports, and a digest of its code.

grimp, which import-linter uses, finds the same imports. A test compares the two. It is
not used here, because it finds neither modules that are started by name, nor files that
a module loads.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from dataclasses import dataclass, field

_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_FILE_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class SourceCode:
    """Facts about a module from its source text.

    Attributes:
        digest: SHA-256 of the syntax tree without positions, comments, docstrings and
            `if TYPE_CHECKING:` blocks. None of these changes what a module computes,
            unless it reads its own `__doc__` or source.
        imports: Absolute dotted names: each imported module, and for
            `from module import name` also `module.name`, which may be a module.
        dotted_names: String constants that may name a module, such as the one after
            `"-m"` in the command of a subprocess.
        file_names: String constants that may name a file or folder beside the module.
    """

    digest: str
    imports: frozenset[str]
    dotted_names: frozenset[str]
    file_names: frozenset[str]


@functools.cache
def read_source(source: bytes, package: str) -> SourceCode:
    """Parse a module.

    Args:
        source: The content of its file.
        package: Dotted name of the package that relative imports start from.
    """
    reader = _Reader(package)
    reader.read(ast.parse(source))
    return SourceCode(
        digest=hashlib.sha256("\n".join(reader.parts).encode()).hexdigest(),
        imports=frozenset(reader.imports),
        dotted_names=frozenset(filter(_DOTTED_NAME.fullmatch, reader.strings)),
        file_names=frozenset(filter(_FILE_NAME.fullmatch, reader.strings)),
    )


@dataclass
class _Reader:
    """Walks a syntax tree once, and writes it as text.

    `ast.dump` was tried. Its text differs between versions of Python, and the machine
    that submits a run may have another version than the image.
    """

    package: str
    parts: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)

    def read(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self.imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = self._absolute(node)
            self.imports.add(module)
            self.imports.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.strings.add(node.value)
        self.parts.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            # An empty field may be one that another version of Python doesn't have.
            if value is None or value == [] or isinstance(value, ast.expr_context):
                continue
            self.parts.append(name)
            if isinstance(value, list):
                self._read_list(value)
            elif isinstance(value, ast.AST):
                self.read(value)
            else:
                self.parts.append(repr(value))

    def _read_list(self, values: list[object]) -> None:
        for value in values:
            if not isinstance(value, ast.AST):
                self.parts.append(repr(value))
            elif isinstance(value, ast.If) and _is_type_checking(value.test):
                self._read_list([*value.orelse])
            elif not _is_bare_string(value):
                self.read(value)
        self.parts.append("end")

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parents = self.package.split(".")
        base = parents[: len(parents) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _is_bare_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
