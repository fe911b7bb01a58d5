"""What a listing of names turns out to be: a layout, or a question to the user."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import yaml

from graft.components.ingestion.splitting import (
    TEST_ROLE,
    TRAIN_ROLE,
    VALIDATION_ROLE,
)

FolderFormat = Literal["folders", "pre_split", "tiny_imagenet", "roboflow"]
SplitFolders = Mapping[str, tuple[str, ...]]
ROLES = (TRAIN_ROLE, VALIDATION_ROLE, TEST_ROLE)


@dataclass(frozen=True)
class FolderLayout:
    """A layout that is understood.

    Attributes:
        format: As in `DataConfig.format`.
        split_folders: Of split folders: their paths below the root by role (train,
            validation, test). Each holds class folders.
        warnings: Sentences for the user.
    """

    format: FolderFormat
    split_folders: SplitFolders = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One config that would read the data.

    Attributes:
        settings: Keys of the config's `data` part and their values; a `path` is
            relative to the one that was given.
        meaning: What would be read, with counts.
    """

    settings: Mapping[str, object]
    meaning: str


@dataclass(frozen=True)
class Question:
    """A layout that has several meanings, or none.

    Attributes:
        finding: What was found; sentences.
        options: The configs that would read it, the likeliest first.
    """

    finding: str
    options: tuple[Option, ...] = ()


def settings_as_arguments(option: Option, root: str) -> str:
    """Return an option as arguments of `graft run`.

    Args:
        option: The option.
        root: The path that was given as `data.path`.
    """
    arguments = []
    for key, value in option.settings.items():
        if key == "path":
            text = f"{root.rstrip('/')}/{value}" if value else root
            arguments.append(f"--data {shlex.quote(text)}")
        else:
            assigned = f"data.{key}={_as_yaml(value)}"
            arguments.append(f"--set {shlex.quote(assigned)}")
    return " ".join(arguments)


def _as_yaml(value: object) -> str:
    if isinstance(value, str):
        try:
            if yaml.safe_load(value) == value:
                return value
        except yaml.YAMLError:
            pass
    # JSON is YAML.
    return json.dumps(value, ensure_ascii=False)


def text_of(question: Question, root: str) -> str:
    """Return the message that asks the user."""
    lines = [question.finding]
    if question.options:
        several = len(question.options) > 1
        lines.append("Choose one:" if several else "This would read it:")
    for number, option in enumerate(question.options, start=1):
        lines.append(f"  {number}. {settings_as_arguments(option, root)}")
        lines.append(f"     {option.meaning}")
    if question.options:
        lines.append(
            "`--set data.KEY=VALUE` is `KEY: VALUE` in the config's `data` part."
        )
    return "\n".join(lines)
