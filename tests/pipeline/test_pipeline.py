"""What is in production is no input of the Trainer: a push trains nothing again."""

from __future__ import annotations

import json
from typing import Any

from tfx.utils import json_utils

from graft.components.publishing.run_view import StoreView
from graft.pipeline.config import load_config
from graft.pipeline.pipeline import create_pipeline


def _trainer(view: StoreView, **overrides: str) -> Any:
    settings = [f"{key.replace('__', '.')}={value}" for key, value in overrides.items()]
    pipeline = create_pipeline(
        load_config(None, data="photos", overrides=settings),
        data_fingerprint="d",
        look_at_store=lambda *_: view,
    )
    return next(node for node in pipeline.components if node.id == "Trainer")


def test_production_does_not_change_the_trainer() -> None:
    one, other = (
        _trainer(StoreView(version, version, str(version))) for version in (3, 4)
    )
    assert one.exec_properties == other.exec_properties
    producers = {channel.producer_component_id for channel in one.inputs.values()}
    assert "ServedModel" not in producers


def test_the_trainer_knows_the_store_unless_it_must_not() -> None:
    view = StoreView(0, 0, "")
    found = json_utils.loads(_trainer(view).exec_properties["custom_config"])
    assert set(json.loads(found["model_store"])) == {"destination", "model_name"}
    off = _trainer(view, training__warm_start="false").exec_properties["custom_config"]
    assert "model_store" not in json_utils.loads(off)
