"""Parameters that a run can set on a compiled pipeline.

`PARAMETERS` lists the values in the steps' properties that a parameter replaces. The
compiled values are the defaults. A place that the pipeline lacks is left out, and so is
a parameter without any place.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graft.pipeline.kubeflow import nested_json
from graft.pipeline.kubeflow.compilation.pipeline_spec import Task

ParameterType = Literal["STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE"]
FINGERPRINT_PARAMETER = "data_fingerprint"
OVERRIDE_PREFIX = "graft_override_"
Overrides = dict[str, list[list[Any]]]
"""Input of a step to the places, `[property, key, ...]`, that its value replaces."""


@dataclass(frozen=True)
class Place:
    """A value in the properties of a step.

    Attributes:
        step: Name of the step.
        property: Name of the execution property, whose value is text.
        path: Keys into the property's nested JSON; empty: the property itself.
    """

    step: str
    property: str
    path: tuple[nested_json.Key, ...] = ()


@dataclass(frozen=True)
class RuntimeParameter:
    """A parameter of the compiled pipeline.

    Attributes:
        name: Name in the dashboard.
        type: Type in KFP.
        description: Text for the dashboard.
        places: Values that it replaces; the first one that exists is the default.
        above: Number that a value must exceed.
        least: Least value.
        most: Largest value.
        is_path: Whether the value is a path in the containers.
    """

    name: str
    type: ParameterType
    description: str
    places: tuple[Place, ...]
    above: float | None = None
    least: float | None = None
    most: float | None = None
    is_path: bool = False

    def describe_refusal(self, value: float) -> str:
        """Return which numbers are allowed if this one isn't; empty: it is."""
        bounds = (
            ("above", self.above, self.above is None or value > self.above),
            ("at least", self.least, self.least is None or value >= self.least),
            ("at most", self.most, self.most is None or value <= self.most),
        )
        if all(is_allowed for *_, is_allowed in bounds):
            return ""
        return " and ".join(
            f"{text} {bound:g}" for text, bound, _ in bounds if bound is not None
        )


def _records_of_config(*path: nested_json.Key) -> tuple[Place, ...]:
    """Return the places of a config key in the manifest and the report."""
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
            *_records_of_config("data", "path"),
        ),
        is_path=True,
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
            *_records_of_config("training", "epochs"),
        ),
        above=0,
    ),
    RuntimeParameter(
        "learning_rate",
        "NUMBER_DOUBLE",
        "Peak learning rate of the head.",
        (
            Place("Trainer", "custom_config", ("training", "learning_rate")),
            *_records_of_config("training", "learning_rate"),
        ),
        above=0,
    ),
    RuntimeParameter(
        "min_accuracy",
        "NUMBER_DOUBLE",
        "Floor: least accuracy on the test split.",
        (
            Place("Evaluator", "gate", ("min_accuracy",)),
            *_records_of_config("gate", "min_accuracy"),
        ),
        least=0,
        most=1,
    ),
    RuntimeParameter(
        "push_destination",
        "STRING",
        "Model store: the folder above the served models; a mounted path.",
        (
            Place("Pusher", "custom_config", ("push", "destination")),
            Place("ServedModel", "destination"),
            Place("Trainer", "custom_config", ("model_store", "destination")),
            *_records_of_config("push", "destination"),
        ),
        is_path=True,
    ),
)


def existing_places(
    parameter: RuntimeParameter, properties: Mapping[str, Mapping[str, Any]]
) -> dict[Place, Any]:
    """Return the places of a parameter that exist, with their present values.

    Args:
        parameter: One of `PARAMETERS`.
        properties: Constant properties by step.
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


def add_runtime_parameters(
    spec: dict[str, Any], tasks: Mapping[str, Task], *, require_fingerprint: bool
) -> dict[str, Overrides]:
    """Define the pipeline's parameters and pass each to the steps that read it.

    Args:
        spec: The `PipelineSpec`, which is changed.
        tasks: Its tasks by name.
        require_fingerprint: Whether every run must name its data's fingerprint.

    Returns:
        Overrides by step.
    """
    properties = {name: task.constants for name, task in tasks.items()}
    overrides: dict[str, Overrides] = {}
    for parameter in PARAMETERS:
        places = existing_places(parameter, properties)
        if not places:
            continue
        is_required = parameter.name == FINGERPRINT_PARAMETER and require_fingerprint
        default = None if is_required else next(iter(places.values()))
        _define_in_root(spec, parameter, default)
        for place in places:
            inputs = tasks[place.step].spec["inputs"]["parameters"]
            reference = {"componentInputParameter": parameter.name}
            if not place.path:
                inputs[place.property] = reference
                continue
            key = OVERRIDE_PREFIX + parameter.name
            inputs[key] = reference
            component = spec["components"][tasks[place.step].component]
            definitions = component["inputDefinitions"]["parameters"]
            definitions[key] = {"parameterType": parameter.type}
            step = overrides.setdefault(place.step, {})
            step.setdefault(key, []).append([place.property, *place.path])
    _pass_to_sub_dags(spec)
    return overrides


def _define_in_root(
    spec: dict[str, Any], parameter: RuntimeParameter, default: Any
) -> None:
    definition: dict[str, Any] = {
        "parameterType": parameter.type,
        "description": parameter.description,
    }
    if default is not None:
        if parameter.type == "NUMBER_DOUBLE":
            default = float(default)
        definition |= {"defaultValue": default, "isOptional": True}
    inputs = spec["root"].setdefault("inputDefinitions", {})
    inputs.setdefault("parameters", {})[parameter.name] = definition


def _pass_to_sub_dags(spec: dict[str, Any]) -> None:
    """Repeat the root's parameters on each DAG below it and on its task."""
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, component in spec["components"].items():
        if "dag" not in component or not parameters:
            continue
        component.setdefault("inputDefinitions", {})["parameters"] = copy.deepcopy(
            parameters
        )
        for task in spec["root"]["dag"]["tasks"].values():
            if task["componentRef"]["name"] == name:
                task.setdefault("inputs", {})["parameters"] = {
                    key: {"componentInputParameter": key} for key in parameters
                }
