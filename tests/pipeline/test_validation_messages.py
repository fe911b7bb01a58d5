"""Messages about a config or profile name the key, with a suggestion."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from graft.pipeline.config import PipelineConfig
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.validation_messages import describe_mistakes


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (
            PipelineConfig,
            {"data": {"path": "x"}, "training": {"epoch": 3}},
            "`training.epoch` is not a known key. Did you mean `epochs`?",
        ),
        (PipelineConfig, {}, "`data` is missing."),
        (
            Profile,
            {"cpu_pool": {"node_selectors": {}}},
            "`cpu_pool.node_selectors` is not a known key. "
            "Did you mean `node_selector`?",
        ),
        (
            Profile,
            {"steps": {"Trainer": {"resource": {}}}},
            "`steps.Trainer.resource` is not a known key. Did you mean `resources`?",
        ),
        (
            Profile,
            {"mounts": [{"claim": "c", "path": "/mnt/c", "subpath": "d"}]},
            "`mounts.0.subpath` is not a known key. Did you mean `sub_path`?",
        ),
        (
            PipelineConfig,
            {"data": {"path": "x", "class_names": ["cat", False]}},
            "`data.class_names.1` must be a text. Received: False. YAML reads words "
            "such as yes, no and null as other values, and digits as numbers: write "
            'the text in quotes, such as "no" or "10".',
        ),
    ],
)
def test_mistake_names_its_key(model, values, message):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    assert list(describe_mistakes(caught.value, model)) == [message]
