"""The Trainer's executor tells `run_fn` of the head in production, and never fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tfx.components.trainer.executor import GenericExecutor
from tfx.utils import json_utils

from graft.components.publishing.served_head import ServedHead
from graft.components.training import executor
from graft.components.training.executor import Executor


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What TFX's executor gets as `custom_config`."""
    found: list[dict[str, Any]] = []

    def do(self: object, inputs: Any, outputs: Any, properties: dict[str, Any]) -> None:
        config = json_utils.loads(properties["custom_config"])
        folder = config.get("production", {}).get("folder")
        found.append({**config, "is_there": folder and Path(folder).is_dir()})

    monkeypatch.setattr(GenericExecutor, "Do", do)
    return found


def _do(custom_config: dict[str, Any]) -> None:
    properties = {"run_fn": "f", "custom_config": json_utils.dumps(custom_config)}
    before = dict(properties)
    Executor().Do({}, {}, properties)
    assert properties == before


def test_the_head_is_given_to_run_fn(
    seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def find(model_folder: str, scratch: str) -> ServedHead:
        asked.append(model_folder)
        return ServedHead(7, scratch)

    monkeypatch.setattr(executor, "find_served_head", find)
    store = {"destination": "/models", "model_name": "digits"}
    _do({"model": "{}", "model_store": json.dumps(store)})
    (config,) = seen
    assert asked == ["/models/digits"]
    assert config["production"]["version"] == 7
    assert config["is_there"]
    assert config["model"] == "{}"
    # It is gone with the training.
    assert not Path(config["production"]["folder"]).exists()


def test_an_empty_store_is_told(seen: list[dict[str, Any]], tmp_path: Path) -> None:
    store = {"destination": str(tmp_path), "model_name": "digits"}
    _do({"model_store": json.dumps(store)})
    assert seen[0]["production"] == {"obstacle": "no version is in production"}


def test_without_a_store_nothing_is_looked_for(seen: list[dict[str, Any]]) -> None:
    _do({"model": "{}"})
    assert seen == [{"model": "{}", "is_there": None}]
