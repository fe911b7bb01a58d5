"""Source code is read without running it."""

from __future__ import annotations

import textwrap

import pytest

from graft.pipeline.source_code import read_source

MODULE = '''
"""Docstring."""
from __future__ import annotations
from typing import TYPE_CHECKING
import numpy as np

if TYPE_CHECKING:
    from somewhere import Something

SIZE = 3
"""Docstring of a constant."""


class Thing:
    """Docstring."""

    def area(self, side: Something) -> int:
        """Docstring."""
        # A reason.
        return side * SIZE
'''


def read(text: str, package: str = "graft.room"):
    return read_source(textwrap.dedent(text).encode(), package)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Docstring.", "Other words."),
        ("Docstring of a constant", "Other words"),
        ("# A reason.", "# Another one."),
        ("SIZE = 3\n", "\n\nSIZE   =  3 # pixels\n"),
        ("from somewhere import Something", "from elsewhere import Something"),
        ("if TYPE_CHECKING:", "if typing.TYPE_CHECKING:"),
    ],
)
def test_what_computes_nothing_leaves_the_digest_alone(old: str, new: str) -> None:
    assert old in MODULE
    assert read(MODULE.replace(old, new)).digest == read(MODULE).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIZE = 3", "SIZE = 4"),
        ("SIZE = 3", "SIZE = 3.0"),
        ("SIZE = 3", "SIZE = '3'"),
        ("side * SIZE", "side + SIZE"),
        ("side * SIZE", "SIZE * side"),
        ("return side * SIZE", "return 'Docstring.'"),
        ("import numpy as np", "import numpy as xp"),
        ("import numpy as np", "import numpy as np, os"),
        ("def area", "async def area"),
        ("def area(self, side", "def area(self, *, side"),
        ("class Thing", "class Thing(Base)"),
        ("if TYPE_CHECKING:", "if DEBUG:"),
        ("return side * SIZE", "pass\n    return"),
    ],
)
def test_what_computes_changes_the_digest(old: str, new: str) -> None:
    assert old in MODULE
    assert read(MODULE.replace(old, new)).digest != read(MODULE).digest


def test_where_a_block_ends_changes_the_digest() -> None:
    within = "if a:\n    b()\n    c()\n"
    after = "if a:\n    b()\nc()\n"
    assert read(within).digest != read(after).digest


@pytest.mark.parametrize(
    ("text", "imports"),
    [
        ("import a.b as c", {"a.b"}),
        ("from a.b import c, d", {"a.b", "a.b.c", "a.b.d"}),
        ("from . import c", {"graft.room", "graft.room.c"}),
        ("from .b import c", {"graft.room.b", "graft.room.b.c"}),
        ("from ..other import c", {"graft.other", "graft.other.c"}),
        ("def f():\n    from a import b", {"a", "a.b"}),
        ("try:\n    import a\nexcept ImportError:\n    import b", {"a", "b"}),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", {"b"}),
        ("if TYPE_CHECKING:\n    import a\nelif x:\n    import b", {"b"}),
        ("class A:\n    if t.TYPE_CHECKING:\n        import a", set()),
    ],
)
def test_imports_are_found_wherever_they_stand(text: str, imports: set[str]) -> None:
    assert read(text).imports == imports


def test_strings_that_may_name_modules_and_files() -> None:
    source = read('run(["-m", "graft.server"], HERE / "templates" / "page.html.jinja")')
    assert source.dotted_names == {"graft.server", "page.html.jinja"}
    assert source.file_names == {"-m", "graft.server", "templates", "page.html.jinja"}


def test_docstrings_name_neither() -> None:
    assert not read('"""graft.server"""').dotted_names
