"""The pages on Kubeflow: the files that they name and the commands that they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from graft.pipeline.cli import app

ROOT = Path(__file__).resolve().parents[3]
FACTS = (ROOT / "docs" / "kubeflow-facts.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "kubeflow.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def command_of(words: list[str]) -> tuple[object, list[str]]:
    """Return the command that some words call, and the words behind its name."""
    found = typer.main.get_command(app)
    context = typer.Context(found)
    while hasattr(found, "get_command"):
        name, *words = words
        found = found.get_command(context, name)
        assert found is not None, name
    return found, words


@pytest.mark.parametrize(
    "line", [line for line in COMMANDS if line.lstrip().startswith("graft ")]
)
def test_command_exists_with_its_options(line):
    words = shlex.split(line, comments=True)[1:]
    command, rest = command_of([word for word in words if word != "&"])
    known = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    given = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert given <= known


def test_every_inline_option_is_one_of_a_command():
    known = {
        option
        for words in (
            *(["submit"], ["compile"], ["emulate"], ["runs"]),
            *(["schedule", verb] for verb in ("create", "list", "pause")),
        )
        for parameter in command_of(words)[0].params
        for option in parameter.opts
    }
    for span in re.findall(r"`([^`\n]+)`", GUIDE):
        if span.startswith("graft "):
            words = shlex.split(span)
            if len(words) > 1 and not words[1].startswith("-"):
                command_of([word for word in words[1:] if word != "..."])
        elif span.startswith("--") and not span.startswith("--runner"):
            assert span.split()[0].partition("=")[0] in known, span


def test_files_that_are_named_exist():
    for span in re.findall(r"`([a-z_-]+/[\w./*-]+)`", GUIDE + FACTS):
        if span.startswith(("pipeline/", "kubernetes/", "docs/", "tests/")):
            assert (ROOT / span).exists(), span
    for line in COMMANDS:
        for path in re.findall(r"kubernetes/[\w./-]+", line):
            if "github.com" not in line:
                assert (ROOT / path).exists(), path
