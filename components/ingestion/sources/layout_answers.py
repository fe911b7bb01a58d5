"""The results of layout detection: a layout, or a question to the user."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import yaml

from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import (
    TEST_ROLE,
    TRAIN_ROLE,
    VALIDATION_ROLE,
)
from graft.contract.class_name import class_name_of
from graft.contract.counts import counted

FolderFormat = Literal["folders", "pre_split", "tiny_imagenet", "roboflow"]
SplitFolders = Mapping[str, tuple[str, ...]]
ROLES = (TRAIN_ROLE, VALIDATION_ROLE, TEST_ROLE)


@dataclass(frozen=True)
class FolderLayout:
    """The layout of a folder.

    Attributes:
        format: As in `DataConfig.format`.
        split_folders: Role (train, validation, test) to the relative paths of its
            folders. Each holds class folders.
        warnings: Sentences for the user.
    """

    format: FolderFormat
    split_folders: SplitFolders = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """A config that reads the data.

    Attributes:
        settings: Keys and values of the config's `data` part. `path` is relative to
            the given path.
        meaning: A description of what it reads, with counts.
        layout: What is found at `path`, if the settings name no layout.
    """

    settings: Mapping[str, object]
    meaning: str
    layout: FolderLayout | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Question:
    """A layout that is unknown, or that can be read in several ways.

    Attributes:
        finding: A description of the content.
        options: The configs that read it, the most likely first.
    """

    finding: str
    options: tuple[Option, ...] = ()

    def __post_init__(self) -> None:
        """Keep the first of options with the same settings."""
        distinct: list[Option] = []
        for option in self.options:
            if all(option.settings != each.settings for each in distinct):
                distinct.append(option)
        object.__setattr__(self, "options", tuple(distinct))


def paths_of_splits(setting: Mapping[str, object]) -> SplitFolders:
    """Return split folders from the setting `split_folders` of an option."""
    return {
        role: (paths,) if isinstance(paths, str) else tuple(map(str, paths))
        for role, paths in setting.items()
        if isinstance(paths, str | list)
    }


def describe_classes(images: Mapping[str, int]) -> str:
    """Return the classes of an option as text.

    Args:
        images: The number of images by the text that names the class.
    """
    classes: Counter[str] = Counter()
    for text, number in images.items():
        try:
            classes[class_name_of(text)] += number
        except ValueError:  # ingestion will refuse it, and say why
            classes[text] += number
    shown = some_of(sorted(classes), classes)
    return f"{counted(len(classes), 'class')}: {shown}"


def settings_as_arguments(option: Option, root: str) -> str:
    """Return an option as arguments of `graft run`.

    Args:
        option: The option.
        root: The given `data.path`.
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
    # JSON is valid YAML.
    return json.dumps(value, ensure_ascii=False)


def text_of(question: Question, root: str) -> str:
    """Return a question as a message for the user."""
    lines = [question.finding]
    if question.options:
        several = len(question.options) > 1
        lines.append("Choose one:" if several else "This reads it:")
    for number, option in enumerate(question.options, start=1):
        lines.append(f"  {number}. {settings_as_arguments(option, root)}")
        lines.append(f"     {option.meaning}")
    if question.options:
        lines.append(
            "`--set data.KEY=VALUE` is `KEY: VALUE` in the config's `data` part."
        )
    return "\n".join(lines)
