"""Read and write version labels, and TensorFlow Serving's config file for them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable

from graft.components.publishing.store_files import read_json, read_text, write_text
from graft.storage import conditional, files
from graft.storage.paths import is_remote, join

LABELS_NAME = "graft_labels.json"
SERVING_CONFIG_NAME = "models.config"

_SERVING_CONFIG = """\
# Written by graft; TensorFlow Serving: --model_config_file=<this file>
# --model_config_file_poll_wait_seconds=1
# --allow_version_labels_for_unavailable_models
model_config_list {{
  config {{
    name: {name}
    base_path: {base_path}
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: {num_versions} }} }}
{labels}  }}
}}
"""
_LABEL_LINE = re.compile(r'version_labels \{ key: "(\w+)" value: (\d+) \}')
_BASE_PATH_LINE = re.compile(r'^    base_path: (".*")$', re.MULTILINE)
_LABEL = '    version_labels {{ key: "{label}" value: {number} }}\n'


def read_labels(model_folder: str) -> dict[str, int]:
    """Return label to version number, or an empty dict if there are no labels.

    TensorFlow Serving's config holds the same labels: it is read if the labels' own
    file is damaged or missing.
    """
    labels, damage = read_label_file(model_folder)
    if damage is None and labels:
        return labels
    return _labels_of_config(model_folder)


def read_label_file(model_folder: str) -> tuple[dict[str, int], str | None]:
    """Return the labels, and what is wrong with their file; None if it is sound."""
    labels, damage = read_json(join(model_folder, LABELS_NAME), dict)
    if labels is None:
        return {}, damage
    if not all(type(number) is int for number in labels.values()):
        return {}, "names a version by something else than a number"
    return labels, None


def config_damage(model_folder: str) -> str | None:
    """Return what is wrong with TensorFlow Serving's config, or None."""
    text, damage = read_text(join(model_folder, SERVING_CONFIG_NAME))
    if damage is not None:
        return damage
    labels, other_damage = read_label_file(model_folder)
    has_labels = other_damage is None and bool(labels)
    if text is None:
        return "is missing" if files.exists(join(model_folder, LABELS_NAME)) else None
    if not text.endswith("}\n"):
        return "is empty" if not text else "does not end as graft writes it"
    if has_labels and _labels_of_config(model_folder) != labels:
        return f"does not say what {LABELS_NAME} says"
    return None


def config_serves(model_folder: str) -> bool | None:
    """Return whether TensorFlow Serving's config serves this folder.

    Returns:
        None if there is no config. False if it names another folder, as in a copy of
        the store, or can't be read.
    """
    text, damage = read_text(join(model_folder, SERVING_CONFIG_NAME))
    if text is None and damage is None:
        return None
    match = _BASE_PATH_LINE.search(text or "")
    if match is None or config_damage(model_folder) is not None:
        return False
    base_path: str = json.loads(match[1])
    return os.path.realpath(base_path) == os.path.realpath(model_folder)


def describe_other_folder(model_folder: str) -> str | None:
    """Say which other folder TensorFlow Serving's config names; None if it names none.

    That is no damage. A server may see the store under another path than this process.
    """
    text, _ = read_text(join(model_folder, SERVING_CONFIG_NAME))
    is_damaged = config_damage(model_folder) is not None
    if text is None or is_damaged or config_serves(model_folder):
        return None
    match = _BASE_PATH_LINE.search(text or "")
    named = f"`base_path: {match[1]}`" if match else "no `base_path`"
    return (
        f"{SERVING_CONFIG_NAME} has {named}, and this folder is {model_folder!r}. A "
        "server serves what the file names. If the store was moved or copied, remove "
        "the file, and `graft models --repair` writes it for this folder"
    )


def _labels_of_config(model_folder: str) -> dict[str, int]:
    text, _ = read_text(join(model_folder, SERVING_CONFIG_NAME))
    return {name: int(number) for name, number in _LABEL_LINE.findall(text or "")}


def write_labels(
    model_folder: str,
    labels: dict[str, int],
    numbers: list[int],
    confirm: Callable[[], None],
) -> None:
    """Write the labels and TensorFlow Serving's config for them, each atomically.

    The config asks for the newest N versions, enough for every labelled one, and lists
    no version numbers. So the server loads a new version by polling the folder. It
    refuses a label for a version that it has not loaded, and takes the label at a later
    poll.

    Args:
        model_folder: `<store>/<model name>`.
        labels: Label to version number.
        numbers: Numbers of all versions.
        confirm: Raises if this process has lost the store's lock.
    """
    numbers = sorted(numbers)
    labels = {label: number for label, number in labels.items() if number in numbers}
    if (
        (labels, None) == read_label_file(model_folder)
        and config_damage(model_folder) is None
        and files.is_file(join(model_folder, SERVING_CONFIG_NAME))
    ):
        return
    oldest = min(labels.values(), default=0)
    path = model_folder if is_remote(model_folder) else os.path.abspath(model_folder)
    config = _SERVING_CONFIG.format(
        name=json.dumps(os.path.basename(path.rstrip("/"))),
        base_path=json.dumps(path),
        num_versions=max(1, sum(number >= oldest for number in numbers)),
        labels="".join(
            _LABEL.format(label=label, number=number)
            for label, number in sorted(labels.items())
        ),
    )
    for name, text in (
        (LABELS_NAME, json.dumps(labels, sort_keys=True)),
        (SERVING_CONFIG_NAME, config),
    ):
        _write(join(model_folder, name), text, confirm)


def _write(path: str, text: str, confirm: Callable[[], None]) -> None:
    """Write a file, on object storage only if this process still holds the lock."""
    if not is_remote(path):
        write_text(path, text)
        return
    _, tag = conditional.read(path)
    confirm()
    if not conditional.write(path, text.encode(), tag):
        # Another process took the lock over a moment ago, and confirms it here.
        confirm()
