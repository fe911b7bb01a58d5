"""What a run may change without a new compile, with the compiled values as defaults.

The table says which places in the steps' properties a parameter stands for. A place
that the pipeline does not have is left out, and so is a parameter without any place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.kubeflow import nested_json

ParameterType = Literal["STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE"]
FINGERPRINT_PARAMETER = "data_fingerprint"


@dataclass(frozen=True)
class Place:
    """A value in the properties of a step.

    Attributes:
        step: Name of the step.
        property: Execution property; its value is text.
        path: Way through the property's nested JSON; empty: the property itself.
    """

    step: str
    property: str
    path: tuple[nested_json.Key, ...] = ()


@dataclass(frozen=True)
class RuntimeParameter:
    """A parameter of the compiled pipeline.

    Attributes:
        name: Its name in the dashboard.
        type: KFP's type.
        description: For people.
        places: What it replaces; the first one that exists gives the default.
    """

    name: str
    type: ParameterType
    description: str
    places: tuple[Place, ...]


def _training(name: str) -> tuple[Place, ...]:
    return (
        Place("Trainer", "custom_config", ("training", name)),
        Place("Pusher", "custom_config", ("record", "training", name)),
    )


PARAMETERS = (
    RuntimeParameter(
        "data_path",
        "STRING",
        "Folder, manifest or TFRecords with the labelled images; a mounted path.",
        (
            Place("ImageExampleGen", "data_config", ("path",)),
            Place("Pusher", "custom_config", ("record", "data", "path")),
        ),
    ),
    RuntimeParameter(
        FINGERPRINT_PARAMETER,
        "STRING",
        "Fingerprint of the data: the same one lets the cache answer.",
        (Place("ImageExampleGen", "data_fingerprint"),),
    ),
    RuntimeParameter(
        "epochs",
        "NUMBER_INTEGER",
        "Passes over the training split.",
        _training("epochs"),
    ),
    RuntimeParameter(
        "learning_rate",
        "NUMBER_DOUBLE",
        "Peak learning rate of the head.",
        _training("learning_rate"),
    ),
    RuntimeParameter(
        "min_accuracy",
        "NUMBER_DOUBLE",
        "Floor: least accuracy on the test split.",
        # The Evaluator's places are searched for in `accuracy_floors`.
        (Place("Pusher", "custom_config", ("record", "gate", "min_accuracy")),),
    ),
    RuntimeParameter(
        "push_destination",
        "STRING",
        "Model store: the folder above the served models; a mounted path.",
        (
            Place("Pusher", "custom_config", ("push", "destination")),
            Place("ServedModel", "destination"),
        ),
    ),
)


def accuracy_floors(eval_config: str) -> Iterator[tuple[nested_json.Key, ...]]:
    """Yield the paths of the overall floors under `accuracy` in a TFMA EvalConfig.

    Args:
        eval_config: The EvalConfig as JSON, as the compiler writes it.
    """
    config = json.loads(eval_config)
    for i, spec in enumerate(config.get("metrics_specs", ())):
        for j, metric in enumerate(spec.get("metrics", ())):
            bound = metric.get("threshold", {}).get("value_threshold", {})
            settings = json.loads(metric.get("config") or "{}")
            named = settings.get("name", metric.get("class_name"))
            if named == "accuracy" and "lower_bound" in bound:
                yield (
                    *("metrics_specs", i, "metrics", j),
                    *("threshold", "value_threshold", "lower_bound"),
                )


def existing_places(
    parameter: RuntimeParameter, properties: Mapping[str, Mapping[str, Any]]
) -> dict[Place, Any]:
    """Return the parameter's places that exist, with the value that stands there.

    Args:
        parameter: One of `PARAMETERS`.
        properties: Name of a step to its properties' constants.
    """
    found = {}
    places = parameter.places
    eval_config = properties.get("Evaluator", {}).get("eval_config")
    if parameter.name == "min_accuracy" and eval_config:
        floors = (
            Place("Evaluator", "eval_config", path)
            for path in accuracy_floors(eval_config)
        )
        places = (*floors, *places)
    for place in places:
        text = properties.get(place.step, {}).get(place.property)
        if not isinstance(text, str):
            continue
        try:
            found[place] = nested_json.read(text, place.path)
        except KeyError:
            continue
    return found
