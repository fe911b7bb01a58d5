"""A spec like those of TFX's compiler, and golden files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

IMAGE = "registry.example.org/graft@sha256:" + "0" * 64
EXAMPLES = "title: tfx.Examples\ntype: object\n"
MODEL = "title: tfx.Model\ntype: object\n"


def task(
    name: str,
    artifacts: dict[str, tuple[str, str]] | None = None,
    constants: dict[str, Any] | None = None,
    *,
    after: tuple[str, ...] = (),
) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    if artifacts:
        inputs["artifacts"] = {
            key: {
                "taskOutputArtifact": {
                    "producerTask": producer,
                    "outputArtifactKey": output,
                }
            }
            for key, (producer, output) in artifacts.items()
        }
    if constants:
        inputs["parameters"] = {
            key: {"runtimeValue": {"constant": value}}
            for key, value in constants.items()
        }
    producers = {producer for producer, _ in (artifacts or {}).values()}
    return {
        "taskInfo": {"name": name},
        "componentRef": {"name": name},
        "cachingOptions": {"enableCache": True},
        "inputs": inputs,
        "dependentTasks": sorted(producers | set(after)),
    }


def component(
    name: str,
    inputs: dict[str, str],
    outputs: dict[str, str],
    parameters: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "executorLabel": f"{name}_executor",
        "inputDefinitions": {
            "artifacts": {
                key: {"artifactType": {"instanceSchema": schema}}
                for key, schema in inputs.items()
            },
            "parameters": {key: {"parameterType": "STRING"} for key in parameters},
        },
        "outputDefinitions": {
            "artifacts": {
                key: {"artifactType": {"instanceSchema": schema}}
                for key, schema in outputs.items()
            }
        },
    }


def container(name: str, **more: Any) -> dict[str, Any]:
    return {
        "container": {
            "image": "graft:set-afterwards",
            "command": ["python", "-m", "graft.pipeline.kubeflow.container.entrypoint"],
            "args": [
                "--executor_class_path",
                f"components.{name}",
                "--json_serialized_invocation_args",
                "{{$}}",
            ],
            **more,
        }
    }


SPEC: dict[str, Any] = {
    "schemaVersion": "2.1.0",
    "sdkVersion": "tfx-1.21.0",
    "pipelineInfo": {"name": "sample"},
    "components": {
        "ImageExampleGen": component(
            "ImageExampleGen",
            {},
            {"examples": EXAMPLES, "quarantine": "title: graft.ImageQuarantine\n"},
            ("data_config", "data_fingerprint"),
        ),
        "Trainer": component(
            "Trainer", {"examples": EXAMPLES}, {"model": MODEL}, ("custom_config",)
        ),
        "Evaluator": component(
            "Evaluator",
            {"examples": EXAMPLES, "model": MODEL},
            {"blessing": "title: tfx.ModelBlessing\n"},
            ("gate",),
        ),
        "Pusher": component(
            "Pusher",
            {"model": MODEL},
            {"pushed_model": "title: tfx.PushedModel\n"},
            ("custom_config",),
        ),
        "Report": component(
            "Report",
            {"model": MODEL},
            {"page": "title: graft.ReportPage\n"},
            ("title",),
        ),
    },
    "deploymentSpec": {
        "executors": {
            f"{name}_executor": container(name)
            for name in ("ImageExampleGen", "Trainer", "Evaluator", "Pusher", "Report")
        }
    },
    "root": {
        "dag": {
            "tasks": {
                "ImageExampleGen": task(
                    "ImageExampleGen",
                    constants={
                        "data_config": '{"path": "/mnt/data/flowers"}',
                        "data_fingerprint": "not computed",
                    },
                ),
                "Trainer": task(
                    "Trainer",
                    {"examples": ("ImageExampleGen", "examples")},
                    {
                        "custom_config": json.dumps(
                            {"training": '{"epochs": 30, "learning_rate": 0.001}'}
                        )
                    },
                ),
                "Evaluator": task(
                    "Evaluator",
                    {
                        "examples": ("ImageExampleGen", "examples"),
                        "model": ("Trainer", "model"),
                    },
                    {"gate": '{"min_accuracy": 0.9}'},
                ),
                "Pusher": task(
                    "Pusher",
                    {"model": ("Trainer", "model")},
                    {
                        "custom_config": json.dumps(
                            {"push": '{"destination": "/mnt/models"}'}
                        )
                    },
                    after=("Evaluator",),
                ),
                "Report": task(
                    "Report", {"model": ("Trainer", "model")}, {"title": "A page"}
                ),
            }
        }
    },
}


@pytest.fixture
def spec() -> dict[str, Any]:
    """A fresh copy of the small spec."""
    return copy.deepcopy(SPEC)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a golden file; `--update-goldens` rewrites it."""
    folder = request.path.parent / "goldens"

    def compare(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--update-goldens", default=False):
            folder.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), (
            f"{path} is out of date: look at the difference, then `make goldens`"
        )

    return compare
