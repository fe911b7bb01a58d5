"""Other columns of a manifest are in the examples, and the gate slices by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from graft.components.evaluation.inference import predict

Make = Callable[..., Any]
CAMERAS = ("front", "", "Rück")


def write_manifest(root: Path, kind: str) -> Path:
    """Write a manifest of 60 images with a camera, some without, and an hour."""
    rows = []
    for index in range(60):
        name = ("cat", "dog")[index % 2]
        row = {"path": f"{name}/{index // 2:03d}.png", "label": name, "split": "test"}
        if index < 40:
            row["split"] = "train"
        row |= {"camera": CAMERAS[index % 3], "hour": index % 2}
        rows.append(row)
    manifest = root / f"list.{kind}"
    if kind == "csv":
        lines = [",".join(rows[0])] + [",".join(map(str, r.values())) for r in rows]
    else:
        lines = [json.dumps(row) for row in rows]
    manifest.write_text("\n".join(lines), encoding="utf-8")
    return manifest


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_columns_become_slices(run_ingestion: Make, photos: Path, kind: str) -> None:
    result = run_ingestion(write_manifest(photos, kind))
    files = [
        str(path) for path in Path(result.outputs.examples, "Split-test").iterdir()
    ]
    slice_keys = ("column/camera", "column/hour", "column/none")
    images = predict(files, {}, slice_keys).images
    assert len(images) == 20
    expected = {}
    for index in range(40, 60):
        name = ("cat", "dog")[index % 2]
        expected[f"{name}/{index // 2:03d}.png"] = (CAMERAS[index % 3], str(index % 2))
    cameras, hours = images.slices["column/camera"], images.slices["column/hour"]
    found = zip(images.filenames, cameras, hours, strict=True)
    assert {name: (camera, hour) for name, camera, hour in found} == expected
    assert set(images.slices["column/none"]) == {""}


def test_columns_do_not_disturb_what_reads_by_the_schema(
    run_ingestion: Make, photos: Path
) -> None:
    result = run_ingestion(write_manifest(photos, "csv"))
    text = Path(result.outputs.schema, "schema.pbtxt").read_text()
    schema = text_format.Parse(text, schema_pb2.Schema())
    assert not [each.name for each in schema.feature if "column" in each.name]
    files = [
        str(path) for path in Path(result.outputs.examples, "Split-test").iterdir()
    ]
    source = tfxio.TFExampleRecord(files, schema=schema, telemetry_descriptors=[])
    dataset = source.TensorFlowDataset(
        tfxio.TensorFlowDatasetOptions(batch_size=5, num_epochs=1)
    )
    (batch,) = list(dataset.take(1))
    assert {"image/encoded", "image/class/text"} <= set(batch)
    assert isinstance(batch["image/encoded"], tf.Tensor)
