"""Read and write version labels, and TensorFlow Serving's config file for them."""

from __future__ import annotations

import json
import os

from graft.storage import atomic, files
from graft.storage.paths import is_remote

LABELS_NAME = "graft_labels.json"
SERVING_CONFIG_NAME = "models.config"

_SERVING_CONFIG = """\
# Written by graft; TensorFlow Serving: --model_config_file=<this file>
# --model_config_file_poll_wait_seconds=10
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
_LABEL = '    version_labels {{ key: "{label}" value: {number} }}\n'


def read_labels(model_folder: str) -> dict[str, int]:
    """Return label to version number, or an empty dict if there are no labels."""
    path = os.path.join(model_folder, LABELS_NAME)
    if not files.exists(path):
        return {}
    labels: dict[str, int] = json.loads(files.read_text(path))
    return labels


def write_labels(model_folder: str, labels: dict[str, int], numbers: list[int]) -> None:
    """Write the labels and TensorFlow Serving's config for them, each atomically.

    The config asks for the newest N versions, enough for every labelled one, and lists
    no version numbers. So the server loads a new version by polling the folder. It
    refuses a label for a version that it has not loaded, and takes the label at a later
    poll.

    Args:
        model_folder: `<store>/<model name>`.
        labels: Label to version number.
        numbers: Numbers of all versions.
    """
    numbers = sorted(numbers)
    labels = {label: number for label, number in labels.items() if number in numbers}
    if labels == read_labels(model_folder) and files.exists(
        os.path.join(model_folder, SERVING_CONFIG_NAME)
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
    atomic.write_text(
        os.path.join(model_folder, LABELS_NAME), json.dumps(labels, sort_keys=True)
    )
    atomic.write_text(os.path.join(model_folder, SERVING_CONFIG_NAME), config)
