"""Every page of documentation: its links, names, commands and configs.

A page may name a file of the repository, a test as `test_file.py::test_name`, a dotted
name of `graft`, a key of the config, a flag, a verb of make. Each must exist. A command
line of graft must parse as the real command line parses it.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import typer
import yaml

from graft.pipeline.cli import _COMMANDS, app
from graft.pipeline.config import PipelineConfig, load_config

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "serving" / "client" / "graft_client"
FOLDERS = (
    *("components", "contract", "docs", "kubernetes", "pipeline", "serving"),
    *("storage", "tests", "trainer"),
)
USAGE_ERROR = typer.BadParameter.__bases__[0]
FOREIGN_FLAGS = {
    *("--runner", "--flink_master", "--project", "--no-deps", "--build-arg"),
    *("--component_id", "--config_file"),
    *("--port", "--extra_package", "--sdk_container_image", "--enable_profiler"),
}
"""Flags of Beam, pip, Docker, TFX's container entry point and TensorFlow Serving."""


def _tracked(pattern: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(name for name in listed.stdout.split("\n") if name)


PAGES = [name for name in _tracked("*.md") if (ROOT / name).exists()]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each fenced block."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```", read(page), re.DOTALL | re.M):
        yield match[1], match[2]


def prose(page: str) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", read(page), flags=re.DOTALL | re.M)


def spans(page: str) -> list[str]:
    """Return the code spans outside of fenced blocks."""
    return [re.sub(r"\s+", " ", text) for text in re.findall(r"`([^`]+)`", prose(page))]


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.M):
        text = re.sub(r"[^\w\- ]", "", heading.lower().strip())
        found.add(text.replace(" ", "-"))
    return found


def command_lines(page: str) -> Iterator[str]:
    """Yield the command lines of graft in a page's blocks, without their comments."""
    for language, text in blocks(page):
        if language not in ("", "sh", "yaml"):
            continue
        for line in text.replace("\\\n", " ").splitlines():
            match = re.match(r"(?:.*# *\S*\.yaml +)?(?:\.venv/bin/)?(graft .*)", line)
            if match and (language != "yaml" or line.startswith("#")):
                yield match[1]


def parse(line: str) -> None:
    """Parse a command line of graft as the real one does, without running it."""
    _, *words = shlex.split(line, comments=True)
    words = words[: words.index("&")] if "&" in words else words
    command: object = typer.main.get_command(app)
    context = typer.Context(command)
    while hasattr(command, "get_command"):
        assert words, f"{line!r} names no command"
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"{line!r}: {name!r} is no command"
        context = typer.Context(command, info_name=name, parent=context)
    values, rest, _ = command.make_parser(context).parse_args(args=list(words))
    extra = (command.context_settings or {}).get("allow_extra_args", False)
    assert extra or not rest, f"{line!r}: {rest} is too much"
    missing = [
        parameter.name
        for parameter in command.params
        if parameter.required and not values.get(parameter.name)
    ]
    assert not missing, f"{line!r} lacks {missing}"


LINES = [(page, line) for page in PAGES for line in command_lines(page)]


@pytest.mark.parametrize(
    ("page", "line"), LINES, ids=[f"{page}: {line}" for page, line in LINES]
)
def test_command_line_parses(page, line):
    parse(line)


@pytest.mark.parametrize(
    "line",
    [
        "graft walk my.yaml",
        "graft run my.yaml --epochs 3",
        "graft run one.yaml two.yaml",
        "graft schedule pauze x",
        "graft submit",
    ],
)
def test_wrong_command_line_is_noticed(line):
    with pytest.raises((AssertionError, USAGE_ERROR)):
        parse(line)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), f"{page}: {target}"
        if anchor:
            name = str(linked.resolve().relative_to(ROOT))
            assert anchor in anchors(name), f"{page}: {target}; {anchors(name)}"


def test_the_index_lists_each_page_once():
    listed = re.findall(r"\]\((\w[\w.-]*\.md)\)", prose("docs/README.md"))
    pages = [Path(name).name for name in PAGES if re.fullmatch(r"docs/[^/]+", name)]
    assert sorted(listed) == sorted(set(pages) - {"README.md"})


def test_each_decision_has_a_number_of_its_own():
    names = [Path(name).name for name in PAGES if name.startswith("docs/decisions/")]
    numbers = [name[:4] for name in names]
    assert len(set(numbers)) == len(numbers) > 10
    for name in names:
        heading = read(f"docs/decisions/{name}").splitlines()[0]
        assert heading.startswith(f"# {name[:4]}: "), name


def _exists(pattern: str) -> bool:
    return any(True for _ in ROOT.glob(pattern.rstrip("/")))


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    """In spans and in blocks; `components/<name>` stands for a user's own."""
    folders = "|".join(FOLDERS)
    own = re.compile(rf"(?<![\w./-])((?:{folders})/[\w./*-]*[\w*/])")
    for text in (*spans(page), *(text for _, text in blocks(page))):
        for path in own.findall(text):
            assert _exists(path), f"{page}: {path}"


@lru_cache
def _tests(file_name: str) -> set[str]:
    """Return the functions in all test files of a name."""
    names: set[str] = set()
    found = list((ROOT / "tests").rglob(Path(file_name).name))
    assert found, f"no test file is called {file_name!r}"
    for path in found:
        names |= {
            node.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)
        }
    return names


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_are_named_exist(page):
    for span in spans(page):
        match = re.fullmatch(r"(?:[\w/]*/)?(test_\w+\.py)(?:::(\w+))?", span)
        if match:
            assert not match[2] or match[2] in _tests(match[1]), f"{page}: {span}"
            assert _tests(match[1]), f"{page}: {span}"


@pytest.mark.parametrize("page", PAGES)
def test_names_of_python_exist(page):
    """`graft.trainer.run_fn`, `python -m graft.serving.embedded`."""
    texts = (*spans(page), *(text for _, text in blocks(page)))
    for text in texts:
        for name in re.findall(r"(?<![\w./-])graft(?:_client)?(?:\.\w+)+", text):
            if re.search(r"\.(dev|yaml|json|svc)$", name) or ":8" in text:
                continue
            assert _is_defined(name), f"{page}: {name}"


def _is_defined(name: str) -> bool:
    """Find a module, or a name in one, without importing anything."""
    package, *parts = name.split(".")
    folder = ROOT if package == "graft" else CLIENT
    for depth in range(len(parts), 0, -1):
        path = folder.joinpath(*parts[:depth])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.exists() or path.is_dir():
            rest = parts[depth:]
            source = file.read_text(encoding="utf-8") if file.exists() else ""
            pattern = rf"\b(def|class) {rest[0]}\b|^{rest[0]}\b" if rest else ""
            return re.search(pattern, source, re.M) is not None
    return False


@pytest.mark.parametrize("page", PAGES)
def test_a_file_has_the_names_that_it_is_said_to_have(page):
    """`name` in `path/file.py`."""
    for name, path in re.findall(r"`(\w+)` in `([\w./-]+\.\w+)`", prose(page)):
        if (ROOT / path).is_file():
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"\b{name}\b", text), f"{page}: {name} in {path}"


@pytest.mark.parametrize("page", PAGES)
def test_keys_of_the_config_exist(page):
    parts = "|".join(PipelineConfig.model_fields)
    for span in spans(page):
        match = re.fullmatch(rf"((?:{parts})(?:\.[a-z_]+)+)(?::.*|=.*)?", span)
        if match and not match[1].endswith((".py", ".json")):
            assert _is_key(match[1]), f"{page}: {span}"


def _is_key(dotted: str) -> bool:
    schema = PipelineConfig.model_json_schema()
    node = schema
    for part in dotted.split("."):
        options = [node, *node.get("anyOf", ()), *node.get("allOf", ())]
        found = None
        for option in options:
            reference = option.get("$ref", "").rpartition("/")[2]
            resolved = schema["$defs"][reference] if reference else option
            found = found or resolved.get("properties", {}).get(part)
        if found is None:
            return False
        node = found
    return True


CONFIGS = [
    (page, text)
    for page in PAGES
    for language, text in blocks(page)
    if language == "yaml"
    and isinstance(yaml.safe_load(text), dict)
    and set(yaml.safe_load(text)) <= set(PipelineConfig.model_fields)
]


@pytest.mark.parametrize(
    ("page", "text"), CONFIGS, ids=[f"{page}: {text[:30]!r}" for page, text in CONFIGS]
)
def test_config_is_accepted(page, text, tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    load_config(path, data=None if "data:" in text else "photos")


def _flags_of_graft() -> set[str]:
    found: set[str] = set()
    pending: list[object] = [typer.main.get_command(app)]
    while pending:
        command = pending.pop()
        for parameter in command.params:
            found.update((*parameter.opts, *parameter.secondary_opts))
        if hasattr(command, "list_commands"):
            context = typer.Context(command)
            names = command.list_commands(context)
            pending += [command.get_command(context, name) for name in names]
    return found


@lru_cache
def _flags() -> set[str]:
    from graft.serving.embedded.options import usage

    known = _flags_of_graft() | set(re.findall(r"--\w+", usage()))
    for name in ("tests/conftest.py", *_tracked("tests/benchmarks/*.py")):
        known.update(re.findall(r'"(--[\w-]+)"', read(name)))
    known.update(re.findall(r'"(--[\w-]+)"', read("pipeline/environment/lock.py")))
    return known | FOREIGN_FLAGS


@pytest.mark.parametrize("page", PAGES)
def test_flags_that_are_named_exist(page):
    for span in spans(page):
        if span.startswith("--"):
            for flag in re.findall(r"(?:^| )(--[\w-]+)", span):
                assert flag in _flags(), f"{page}: {flag}"


@pytest.mark.parametrize("page", PAGES)
def test_inline_commands_exist_with_their_options(page):
    for span in spans(page):
        if not span.startswith("graft ") or not re.match(r"graft [a-z]", span):
            continue
        words = [word for word in span.split() if word not in ("...", "…")]
        command: object = typer.main.get_command(app)
        context = typer.Context(command)
        for word in words[1:]:
            if word.startswith(("-", "[")) or not hasattr(command, "get_command"):
                break
            command = command.get_command(context, word)
            assert command is not None, f"{page}: {span}"
        known = {flag for parameter in command.params for flag in parameter.opts}
        for word in words:
            flag = word.strip("[]").partition("=")[0]
            if flag.startswith("-"):
                assert flag in known | {"--"}, f"{page}: {span}: {flag}"


@pytest.mark.parametrize("page", PAGES)
def test_verbs_of_make_exist(page):
    verbs = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))
    lines = [line for _, text in blocks(page) for line in text.splitlines()]
    for text in (*spans(page), *lines):
        match = re.match(r"make ([a-z-]+)\b", text)
        if match:
            assert match[1] in verbs, f"{page}: {text}"


def test_every_command_is_listed():
    listed = re.findall(r"`graft (\w[\w-]*)", prose("docs/commands.md"))
    assert set(listed) == set(_COMMANDS)
