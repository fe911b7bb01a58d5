"""`graft compile` refuses mistakes before TFX is imported."""

from __future__ import annotations

import pytest

from graft.pipeline.commands.compile import compile_

IMAGE = "registry.example.org/graft:1.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "argo"), "must be kubeflow or vertex. Received: 'argo'"),
        (("--profile", "gpu-gek"), "Did you mean 'gpu-gke'"),
        ((), "No image"),
        (("--image", "graft:latest"), "'graft:latest'"),
        (("--image", IMAGE, "--data", "photos"), "`data.path` must lie in one of"),
        (("--image", IMAGE, "--data", "s3://b/k"), "Mount a volume"),
        (("--image", IMAGE, "--set", "name=My_Pipeline"), "name"),
    ],
)
def test_compile_refuses(error_of, arguments, message):
    default = () if "--data" in arguments else ("--data", "/mnt/data/photos")
    assert message in error_of(compile_, *arguments, *default)
