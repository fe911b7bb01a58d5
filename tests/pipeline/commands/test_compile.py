"""`graft compile` refuses mistakes before TFX is imported."""

from __future__ import annotations

import pytest
import typer
import yaml
from typer.testing import CliRunner

from graft.pipeline.commands.compile import compile_
from graft.pipeline.kubeflow.compilation import gpu_quota

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


def test_gpus_beyond_the_quota_are_warned_of(tmp_path):
    profile = tmp_path / "two.yaml"
    profile.write_text(f"extends: gpu-gke\nimage: {IMAGE}\ngpu_pool: {{count: 2}}\n")
    app = typer.Typer()
    app.command()(compile_)
    arguments = ["--data", "/mnt/data/photos", "--profile", str(profile)]
    arguments += ["--output", str(tmp_path / "pipeline.yaml")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "2 nvidia.com/gpu at once where the quota grants 1" in result.stderr
    rendered = tmp_path / "rendered.yaml"
    manifest = gpu_quota.quota_manifest({"nvidia.com/gpu": 2})
    rendered.write_text(yaml.safe_dump(manifest))
    result = CliRunner().invoke(app, [*arguments, "--quota", str(rendered)])
    assert result.exit_code == 0, result.output
    assert "Warning" not in result.stderr


def test_path_of_this_machine_leads_to_the_option(error_of):
    text = error_of(compile_, "--image", IMAGE, "--data", "photos")
    assert "Use `--data`, such as `--data /mnt/data/photos`" in text
