"""The static schema of a raw example: what Transform and all that follow rely on."""

from __future__ import annotations

from tensorflow_metadata.proto.v0 import schema_pb2

from trainer import features

_BYTES_KEYS = (
    features.IMAGE_KEY,
    features.FORMAT_KEY,
    features.FILENAME_KEY,
    features.CLASS_NAME_KEY,
    features.CONTENT_HASH_KEY,
    features.SOURCE_KEY,
)
_INT_KEYS = (features.HEIGHT_KEY, features.WIDTH_KEY)

SCHEMA_FILE_NAME = "schema.pbtxt"


def example_schema() -> schema_pb2.Schema:
    """Return the schema: every key exactly once in every example, a scalar."""
    schema = schema_pb2.Schema()
    for key in sorted(_BYTES_KEYS + _INT_KEYS):
        feature = schema.feature.add(
            name=key,
            type=schema_pb2.INT if key in _INT_KEYS else schema_pb2.BYTES,
        )
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
        # A scalar: what parses a batch of examples gets (N,), not (N, 1).
        feature.shape.SetInParent()
        if key in _INT_KEYS:
            feature.int_domain.min = 1
        if key == features.FORMAT_KEY:
            feature.string_domain.name = key
            feature.string_domain.value.extend(features.IMAGE_FORMATS)
    return schema
