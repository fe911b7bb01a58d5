"""The schema of a raw example, which Transform and all later nodes rely on."""

from __future__ import annotations

from tensorflow_metadata.proto.v0 import schema_pb2

from graft.contract import example_keys

_BYTES_KEYS = (
    example_keys.IMAGE_KEY,
    example_keys.FORMAT_KEY,
    example_keys.FILENAME_KEY,
    example_keys.CLASS_NAME_KEY,
    example_keys.CONTENT_HASH_KEY,
    example_keys.SOURCE_KEY,
)
_INT_KEYS = (example_keys.HEIGHT_KEY, example_keys.WIDTH_KEY)

SCHEMA_FILE_NAME = "schema.pbtxt"


def example_schema() -> schema_pb2.Schema:
    """Return the schema. Each key is a scalar and is present in every example."""
    schema = schema_pb2.Schema()
    for key in sorted(_BYTES_KEYS + _INT_KEYS):
        feature = schema.feature.add(
            name=key,
            type=schema_pb2.INT if key in _INT_KEYS else schema_pb2.BYTES,
        )
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
        # A scalar: a parsed batch of examples has shape (N,), not (N, 1).
        feature.shape.SetInParent()
        if key in _INT_KEYS:
            feature.int_domain.min = 1
        if key == example_keys.FORMAT_KEY:
            feature.string_domain.name = key
            feature.string_domain.value.extend(example_keys.IMAGE_FORMATS)
    return schema
