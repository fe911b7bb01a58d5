"""Predict, Classify, Regress, MultiInference and GetModelMetadata on one servable.

Each function takes a servable and a request and returns a reply, on the calling thread.
gRPC, REST and warm-up share them: the caller chooses the servable and counts requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from graft.contract import signature_names
from graft.serving.embedded.contract import example_results
from graft.serving.embedded.contract.servable import PATIENT, Caller, Servable
from graft.serving.embedded.contract.status import (
    StatusError,
    failed_precondition,
    invalid,
    unimplemented,
)
from graft.serving.embedded.contract.tensors import (
    Array,
    as_array,
    to_array,
    to_proto,
)

DEFAULT_SIGNATURE = "serving_default"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


def predict(
    servable: Servable,
    request: Any,
    caller: Caller = PATIENT,
    *,
    as_content: bool = False,
) -> Any:
    """Answer a PredictRequest.

    Args:
        servable: The version that answers.
        request: The PredictRequest.
        caller: Who waits for the answer.
        as_content: Whether the values go into `tensor_content`.

    Raises:
        StatusError: With TensorFlow Serving's code and message.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    feeds = _read_inputs(signature, request.inputs)
    aliases = _choose_outputs(signature, request.output_filter)
    fetches = [signature.outputs[alias].name for alias in aliases]
    outputs = _run(servable, name, feeds, fetches, caller)
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, servable, name)
    for alias, output in zip(aliases, outputs, strict=True):
        to_proto(as_array(output), response.outputs[alias], as_content=as_content)
    return response


def _run(
    servable: Servable,
    name: str,
    feeds: dict[str, Array],
    fetches: list[str],
    caller: Caller,
) -> list[Array]:
    """Run the graph, and tell who sends images as examples which signature takes them.

    Raises:
        StatusError: With TensorFlow Serving's code and message.
    """
    try:
        return servable.runner.run(feeds, fetches, caller)
    except StatusError as error:
        is_example = "Could not parse example input" in error.message
        if (
            not is_example
            or signature_names.IMAGES_SIGNATURE not in servable.signatures
        ):
            raise
        # Without TensorFlow's text, which quotes all of the bytes.
        raise StatusError(
            error.code,
            f"Could not parse example input: signature {name!r} takes serialized "
            "tf.Examples. Send the bytes of images to "
            f"{signature_names.IMAGES_SIGNATURE!r}.",
        ) from error


def _read_inputs(signature: Any, inputs: Mapping[str, Any]) -> dict[str, Array]:
    wanted, sent = set(signature.inputs), set(inputs)
    has_defaults = bool(signature.defaults)
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not has_defaults):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} "
            f"len({_braces(sent)}) != len({_braces(wanted)}). Sent extra: "
            f"{_braces(sent - wanted)}. Missing but required: "
            f"{_braces(wanted - sent)}."
        )
    feeds = {}
    for alias in sorted(wanted):
        info = signature.inputs[alias]
        proto = inputs[alias] if alias in sent else None
        if proto is None and alias in signature.defaults:
            proto = signature.defaults[alias]
        if proto is None:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in "
                f"request and no default value provided. Inputs expected to be in the "
                f"set {_braces(wanted)}."
            )
        feeds[info.name] = to_array(proto, alias)
    return feeds


def _choose_outputs(signature: Any, output_filter: Sequence[str]) -> list[str]:
    if not output_filter:
        return sorted(signature.outputs)
    for position, alias in enumerate(output_filter):
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected "
                f"to be in the set {_braces(signature.outputs)}."
            )
        if alias in output_filter[:position]:
            raise invalid(f"duplicate output tensor alias: {alias}")
    return list(output_filter)


def classify(servable: Servable, request: Any, caller: Caller = PATIENT) -> Any:
    """Answer a ClassificationRequest.

    Raises:
        StatusError: With TensorFlow Serving's code.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = _example_signature(servable, name)
    feed, fetches = _classify_tensors(signature)
    examples = _read_examples(request.input)
    outputs = servable.runner.run({feed: examples}, fetches, caller)
    response = classification_pb2.ClassificationResponse()
    _fill_spec(response.model_spec, servable, name)
    found = dict(zip(fetches, outputs, strict=True))
    example_results.fill_classifications(
        response.result, signature, found, len(examples)
    )
    return response


def regress(servable: Servable, request: Any, caller: Caller = PATIENT) -> Any:
    """Answer a RegressionRequest.

    Raises:
        StatusError: With TensorFlow Serving's code.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = _example_signature(servable, name)
    feed, fetches = _regress_tensors(signature)
    examples = _read_examples(request.input)
    outputs = servable.runner.run({feed: examples}, fetches, caller)
    response = regression_pb2.RegressionResponse()
    _fill_spec(response.model_spec, servable, name)
    example_results.fill_regressions(response.result, outputs[0], len(examples))
    return response


def multi_inference(servable: Servable, request: Any, caller: Caller = PATIENT) -> Any:
    """Answer a MultiInferenceRequest with one run of the graph.

    Raises:
        StatusError: With TensorFlow Serving's code.
    """
    feeds, fetches = _task_tensors(servable, request.tasks)
    examples = _read_examples(request.input)
    # Each signature of a TF2 model has an input of its own: all take the same examples.
    outputs = servable.runner.run(dict.fromkeys(feeds, examples), fetches, caller)
    found = dict(zip(fetches, outputs, strict=True))
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.signatures[name]
        result = response.results.add()
        _fill_spec(result.model_spec, servable, name)
        if task.method_name == CLASSIFY_METHOD:
            example_results.fill_classifications(
                result.classification_result, signature, found, len(examples)
            )
        else:
            _, names = _regress_tensors(signature)
            example_results.fill_regressions(
                result.regression_result, found[names[0]], len(examples)
            )
    return response


def _task_tensors(servable: Servable, tasks: Any) -> tuple[list[str], list[str]]:
    """Return the names of the tensors that tasks feed and fetch.

    Raises:
        StatusError: For the first task that is wrong, as in TensorFlow Serving.
    """
    seen: set[str] = set()
    feeds: list[str] = []
    fetches: list[str] = []
    for task in tasks:
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != tasks[0].model_spec.name:
            raise invalid(
                "All ModelSpecs in a MultiInferenceRequest must access the same model "
                "name."
            )
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        signature = servable.signatures.get(name)
        if signature is None:
            raise invalid(f"Requested signature not found in model graph: {name}")
        if task.method_name == CLASSIFY_METHOD:
            feed, names = _classify_tensors(signature)
        elif task.method_name == REGRESS_METHOD:
            feed, names = _regress_tensors(signature)
        else:
            raise unimplemented(
                f"Unsupported signature method_name: {task.method_name}"
            )
        feeds.append(feed)
        fetches.extend(each for each in names if each not in fetches)
    return feeds, fetches


def check_metadata(request: Any) -> None:
    """Check the fields that a GetModelMetadataRequest asks for.

    Raises:
        StatusError: INVALID_ARGUMENT, unless it is the signatures.
    """
    if not request.metadata_field:
        raise invalid(
            "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")


def signature_map(servable: Servable) -> Any:
    """Return the SignatureDefMap of every signature."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in servable.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    return signatures


def metadata(servable: Servable, request: Any) -> Any:
    """Answer a GetModelMetadataRequest.

    Raises:
        StatusError: INVALID_ARGUMENT, if it asks for anything but the signatures.
    """
    check_metadata(request)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    response.metadata["signature_def"].Pack(signature_map(servable))
    return response


def _example_signature(servable: Servable, name: str) -> Any:
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid(f"No signature was found with the name: {name}")
    return signature


def _classify_tensors(signature: Any) -> tuple[str, list[str]]:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    if "inputs" not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {signature}")
    names = [
        signature.outputs[alias].name
        for alias in ("classes", "scores")
        if alias in signature.outputs
    ]
    if not names:
        raise invalid(
            "Expected classification signature outputs to contain at least one of "
            f'"classes" or "scores". Signature was: {signature}'
        )
    return signature.inputs["inputs"].name, names


def _regress_tensors(signature: Any) -> tuple[str, list[str]]:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if "inputs" not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {signature}")
    if "outputs" not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {signature}")
    return signature.inputs["inputs"].name, [signature.outputs["outputs"].name]


def _read_examples(source: Any) -> Array:
    """Return the serialized examples of an Input, each after its context."""
    kind = source.WhichOneof("kind")
    context = b""
    if kind == "example_list_with_context":
        listed = source.example_list_with_context
        context = listed.context.SerializeToString()
    else:
        listed = source.example_list
    if not listed.examples:
        raise invalid("Input is empty.")
    examples: Array = np.empty(len(listed.examples), object)
    # Messages that follow one another merge: the example wins over the context.
    examples[:] = [context + each.SerializeToString() for each in listed.examples]
    return examples


def _fill_spec(spec: Any, servable: Servable, signature_name: str) -> None:
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature_name


def _braces(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
