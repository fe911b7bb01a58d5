from __future__ import annotations

import json

import pytest

from graft.pipeline.kubeflow.compilation.refusals import (
    CompileError,
    check_constants,
    check_executors,
    check_image,
    check_names,
)

DIGEST = "@sha256:" + "a" * 64


@pytest.mark.parametrize(
    "image",
    [
        f"gcr.io/project/graft{DIGEST}",
        f"localhost:5000/graft:1.2{DIGEST}",
        "graft:2026-11-22",
        f"graft:latest{DIGEST}",
    ],
)
def test_image_that_never_changes(image):
    assert check_image(image) == image


@pytest.mark.parametrize(
    "image",
    [
        None,
        "",
        "graft",
        "graft:latest",
        "r.io/graft:main",
        "Graft:1",
        "a/b:c:d",
        "a@sha256:1",
    ],
)
def test_image_that_may_change_is_refused(image):
    with pytest.raises(CompileError, match="digest"):
        check_image(image)


@pytest.mark.parametrize(
    ("pipeline", "step", "message"),
    [
        ("My_Pipeline", "A", "lower-case"),
        ("p" * 46, "A", "at most 45"),
        ("ok", "latest_blessed", "letters, digits and hyphens"),
        ("ok", "1st", "begin with a letter"),
        ("ok", "Trainer.a", "letters, digits and hyphens"),
        ("ok", "x" * 121, "letters, digits and hyphens"),
        ("ok", "Trainer-driver", "reserved by Kubeflow"),
        ("ok", "root", "reserved by Kubeflow"),
        ("ok", "system-x", "reserved by Kubeflow"),
    ],
)
def test_name_that_argo_refuses(pipeline, step, message):
    with pytest.raises(CompileError, match=message):
        check_names(pipeline, {step: {}})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{"num_steps": {"__class__": "RuntimeParameter"}}', "RuntimeParameter"),
        ("trainer@/pipelines/_wheels/trainer.whl", "dotted"),
        ("module@minio://b/m.whl", "dotted"),
        ("a {{workflow.name}} b", "would replace"),
        ("echo $(HOME)", "would replace"),
        ("s3://bucket/data", "Mount a volume"),
        (json.dumps({"a": json.dumps({"path": "minio://b/k"})}), r"Step\.p\.a\.path"),
        ("x" * 70_000, "at most 61440"),
    ],
)
def test_constant_that_would_not_arrive(value, message):
    with pytest.raises(CompileError, match=message):
        check_constants("Step", {"p": value})


def test_usual_constants_pass():
    check_constants(
        "Step", {"a": "/mnt/data", "b": 1.0, "c": "gs://b/k", "d": '{"x": "y@z.org"}'}
    )


def test_resolver_is_refused():
    with pytest.raises(CompileError, match="x_executor is a resolver"):
        check_executors({"x_executor": {"resolver": {}}})
