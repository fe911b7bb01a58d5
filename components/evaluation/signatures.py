"""Read and compare the signatures of SavedModels, without loading them."""

from __future__ import annotations

import os

from tensorflow.core.protobuf import saved_model_pb2

from graft.contract import signature_names
from graft.storage import files

CLIENT_SIGNATURES = (
    signature_names.SERVING_SIGNATURE,
    signature_names.IMAGES_SIGNATURE,
    signature_names.CLASSIFY_SIGNATURE,
)
"""Signatures that clients call. Others are internal."""

Signatures = dict[str, dict[str, str]]
"""Signature to tensor (`input images`) to its type (`DT_STRING of rank 1`)."""


def read_signatures(model_path: str) -> Signatures:
    """Return the inputs and outputs of the signatures that clients call."""
    content = files.read_bytes(os.path.join(model_path, "saved_model.pb"))
    saved = saved_model_pb2.SavedModel.FromString(content)
    found: Signatures = {}
    for name, signature in saved.meta_graphs[0].signature_def.items():
        if name not in CLIENT_SIGNATURES:
            continue
        found[name] = {
            f"{side} {tensor}": _describe(info)
            for side, tensors in (
                ("input", signature.inputs),
                ("output", signature.outputs),
            )
            for tensor, info in tensors.items()
        }
    return found


def breaking_changes(candidate: Signatures, baseline: Signatures) -> list[str]:
    """Return the changes that would break a client of `baseline`, one line each."""
    missing = []
    for name, tensors in sorted(baseline.items()):
        if name not in candidate:
            missing.append(f"signature {name!r} is gone")
            continue
        for tensor, kind in sorted(tensors.items()):
            new = candidate[name].get(tensor)
            if new is None:
                missing.append(f"{tensor!r} of signature {name!r} is gone")
            elif new != kind:
                missing.append(f"{tensor!r} of signature {name!r} is {new}, was {kind}")
        for tensor in sorted(set(candidate[name]) - set(tensors)):
            if tensor.startswith("input "):
                missing.append(f"signature {name!r} wants a new {tensor!r}")
    return missing


def _describe(info: object) -> str:
    from tensorflow.core.framework import types_pb2

    kind = types_pb2.DataType.Name(info.dtype)  # type: ignore[attr-defined]
    shape = info.tensor_shape  # type: ignore[attr-defined]
    rank = "unknown rank" if shape.unknown_rank else f"rank {len(shape.dim)}"
    return f"{kind} of {rank}"
