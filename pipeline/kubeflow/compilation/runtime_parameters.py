"""What a run may change without a new compile, with the compiled values as defaults.

The table says which places in the steps' properties a parameter stands for. A place
that the pipeline does not have is left out, and so is a parameter without any place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graft.pipeline.kubeflow import nested_json

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


def _everywhere(*path: nested_json.Key) -> tuple[Place, ...]:
    """Return the places of a config's key in the records of the run."""
    return (
        Place("Pusher", "custom_config", ("record", "config", *path)),
        Place("Report", "config", path),
    )


PARAMETERS = (
    RuntimeParameter(
        "data_path",
        "STRING",
        "Folder, manifest or TFRecords with the labelled images; a mounted path.",
        (
            Place("ImageExampleGen", "data_config", ("path",)),
            *_everywhere("data", "path"),
        ),
    ),
    RuntimeParameter(
        FINGERPRINT_PARAMETER,
        "STRING",
        "Fingerprint of the data: the same one lets the cache answer.",
        (
            Place("ImageExampleGen", "data_fingerprint"),
            Place("Pusher", "custom_config", ("record", "data_fingerprint")),
            Place("Report", "data_fingerprint"),
        ),
    ),
    RuntimeParameter(
        "epochs",
        "NUMBER_INTEGER",
        "Passes over the training split.",
        (
            Place("Trainer", "custom_config", ("training", "epochs")),
            *_everywhere("training", "epochs"),
        ),
    ),
    RuntimeParameter(
        "learning_rate",
        "NUMBER_DOUBLE",
        "Peak learning rate of the head.",
        (
            Place("Trainer", "custom_config", ("training", "learning_rate")),
            *_everywhere("training", "learning_rate"),
        ),
    ),
    RuntimeParameter(
        "min_accuracy",
        "NUMBER_DOUBLE",
        "Floor: least accuracy on the test split.",
        (
            Place("Evaluator", "gate", ("min_accuracy",)),
            *_everywhere("gate", "min_accuracy"),
        ),
    ),
    RuntimeParameter(
        "push_destination",
        "STRING",
        "Model store: the folder above the served models; a mounted path.",
        (
            Place("Pusher", "custom_config", ("push", "destination")),
            Place("ServedModel", "destination"),
            *_everywhere("push", "destination"),
        ),
    ),
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
    for place in parameter.places:
        text = properties.get(place.step, {}).get(place.property)
        if not isinstance(text, str):
            continue
        try:
            found[place] = nested_json.read(text, place.path)
        except KeyError:
            continue
    return found
