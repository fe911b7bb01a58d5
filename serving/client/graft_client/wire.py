"""Build requests, parse replies, and cut images into requests; without any network."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from graft_client import signature_names
from graft_client.errors import CallError, PredictionError
from graft_client.prediction import Prediction
from graft_client.protos import serving_pb2 as pb

PREDICT_METHOD = "/tensorflow.serving.PredictionService/Predict"
STATUS_METHOD = "/tensorflow.serving.ModelService/GetModelStatus"
AVAILABLE = 30
"""`ModelVersionStatus.State` of a version that answers requests."""
INVALID_ARGUMENT = "INVALID_ARGUMENT"
"""Status of a request with a bad image, and the code of that image's error."""
DT_STRING = 7
"""TensorFlow's number for the data type string."""

# A grey PNG of one pixel, for a request that needs any image.
_ANY_IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGOor68H"
    "AAL+AX66JXAlAAAAAElFTkSuQmCC"
)

# Upper bound of what an image adds to a request besides its bytes.
_BYTES_PER_IMAGE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The model to use; the newest version unless a version or a label is given."""

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: If the name is empty, or both version and label are given.
        """
        if not self.name:
            raise ValueError(f"`name` must not be empty. Received: name={self.name!r}")
        if self.version is not None and self.label is not None:
            raise ValueError(
                "Only one of `version` and `label` can be given. Received: "
                f"version={self.version!r}, label={self.label!r}"
            )

    def spec(self, signature: str = "") -> pb.ModelSpec:
        """Return the message that names this model and one of its signatures."""
        spec = pb.ModelSpec(name=self.name, signature_name=signature)
        if self.version is not None:
            spec.version.value = self.version
        if self.label is not None:
            spec.version_label = self.label
        return spec


@dataclass(frozen=True, slots=True)
class Chunk:
    """Images of one request, and the position of the first one among all images."""

    start: int
    images: Sequence[bytes]

    def halves(self) -> tuple[Chunk, Chunk]:
        """Return both halves, for a request that is too large or has a bad image."""
        middle = len(self.images) // 2
        return (
            Chunk(self.start, self.images[:middle]),
            Chunk(self.start + middle, self.images[middle:]),
        )


def cut_chunks(
    images: Iterable[bytes], batch_size: int, max_message_bytes: int
) -> Iterator[Chunk]:
    """Group images into requests of limited number and size.

    An image larger than `max_message_bytes` gets a request of its own; the server may
    refuse it.

    Raises:
        TypeError: If an image isn't bytes, for example a path.
    """
    gathered: list[bytes] = []
    start = size = 0
    for index, image in enumerate(images):
        if not isinstance(image, bytes):
            raise TypeError(
                "`images` must be bytes of encoded images. Received: "
                f"{type(image).__name__} at position {index}"
            )
        length = len(image) + _BYTES_PER_IMAGE
        if gathered and (
            len(gathered) == batch_size or size + length > max_message_bytes
        ):
            yield Chunk(start, gathered)
            gathered, start, size = [], index, 0
        gathered.append(image)
        size += length
    if gathered:
        yield Chunk(start, gathered)


def string_tensor(values: Sequence[bytes]) -> pb.Tensor:
    """Return a string tensor of shape (N,)."""
    shape = pb.TensorShape(dim=[pb.TensorShape.Dim(size=len(values))])
    return pb.Tensor(dtype=DT_STRING, tensor_shape=shape, string_val=values)


def images_request(
    choice: ModelChoice,
    images: Sequence[bytes],
    signature: str = signature_names.IMAGES_SIGNATURE,
) -> pb.PredictRequest:
    """Return a request for the probabilities of encoded images.

    Args:
        choice: The model to use.
        images: Encoded images.
        signature: `IMAGES_SIGNATURE`, or `EACH_SIGNATURE` where some may be bad.
    """
    return pb.PredictRequest(
        model_spec=choice.spec(signature),
        inputs={signature_names.IMAGES_INPUT: string_tensor(images)},
    )


def names_request(name: str, version: int) -> pb.PredictRequest:
    """Return a request for a version's class names, by its classify signature."""
    feature = pb.Example.Feature(bytes_list=pb.Example.BytesList(value=[_ANY_IMAGE]))
    example = pb.Example(
        features=pb.Example.Features(feature={signature_names.IMAGE_KEY: feature})
    )
    choice = ModelChoice(name=name, version=version)
    return pb.PredictRequest(
        model_spec=choice.spec(signature_names.CLASSIFY_SIGNATURE),
        inputs={"inputs": string_tensor([example.SerializeToString()])},
        output_filter=["classes"],
    )


def parse_names(response: pb.PredictResponse) -> tuple[str, ...]:
    """Return the class names of `names_request`'s reply, in the label map's order."""
    classes = response.outputs["classes"].string_val
    return tuple(name.decode("utf-8", "replace") for name in classes)


def parse_outcomes(
    response: pb.PredictResponse, chunk: Chunk, names: Sequence[str]
) -> list[Prediction | PredictionError]:
    """Turn a reply into one prediction, or refusal, per image.

    Raises:
        CallError: If the outputs aren't those of a model of graft.
    """
    count = len(chunk.images)
    probabilities = response.outputs[signature_names.PROBABILITIES_OUTPUT].float_val
    labels = response.outputs[signature_names.LABEL_OUTPUT].string_val
    errors: Sequence[bytes] = [b""] * count
    if signature_names.ERROR_OUTPUT in response.outputs:
        errors = response.outputs[signature_names.ERROR_OUTPUT].string_val
    is_whole = len(labels) == count == len(errors)
    if not is_whole or not probabilities or len(probabilities) % count:
        raise CallError(
            "INTERNAL",
            f"the reply has {len(labels)} labels and {len(probabilities)} "
            f"probabilities for {count} images; is the model one of graft's?",
        )
    width = len(probabilities) // count
    if len(names) != width:
        names = ()
    outcomes: list[Prediction | PredictionError] = []
    for row, (label, error) in enumerate(zip(labels, errors, strict=True)):
        if error:
            message = error.decode("utf-8", "replace")
            outcomes.append(
                PredictionError(chunk.start + row, INVALID_ARGUMENT, message)
            )
            continue
        values = tuple(probabilities[row * width : (row + 1) * width])
        outcomes.append(
            Prediction(
                class_name=label.decode("utf-8", "replace"),
                score=max(values),
                model_version=response.model_spec.version.value,
                probabilities=values,
                class_names=tuple(names),
            )
        )
    return outcomes


def is_worth_halving(code: str, message: str) -> bool:
    """Return whether a refused request may succeed as two smaller ones.

    INVALID_ARGUMENT: an image can't be decoded, or the batch exceeds the server's
    limit. RESOURCE_EXHAUSTED with "larger than max": the message exceeds the limit of
    this side, the server or a proxy.
    """
    if code == INVALID_ARGUMENT:
        return True
    return code == "RESOURCE_EXHAUSTED" and "larger than max" in message


def channel_options(max_attempts: int) -> list[tuple[str, int | str]]:
    """Return gRPC's options: retries only on UNAVAILABLE, and no limit of messages."""
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # gRPC retries only requests that fit into this buffer; 256 KiB by default.
        ("grpc.per_rpc_retry_buffer_size", 2**31 - 1),
    ]
    if max_attempts > 1:
        retry_policy = {
            "maxAttempts": max_attempts,
            "initialBackoff": "0.2s",
            "maxBackoff": "5s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        config = {"methodConfig": [{"name": [{}], "retryPolicy": retry_policy}]}
        options.append(("grpc.service_config", json.dumps(config)))
    return options
