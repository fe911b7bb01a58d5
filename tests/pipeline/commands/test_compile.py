"""`graft compile` refuses mistakes before TFX is imported."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from graft.contract.errors import UserError
from graft.pipeline.commands.compile import compile_, write_output
from graft.pipeline.kubeflow.compilation import gpu_quota

IMAGE = "registry.example.org/graft:1.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "argo"), "must be kubeflow or vertex. Received: 'argo'"),
        (("--profile", "gpu-gek"), "Did you mean 'gpu-gke'"),
        ((), "No image"),
        (("--image", "graft:latest"), "'graft:latest'"),
        (("--image", "REGISTRY/graft:1.0"), "must have no capital letters"),
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
    arguments += ["--to", str(tmp_path / "pipeline.yaml")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "2 nvidia.com/gpu at once where the quota grants 1" in result.stderr
    assert "no `name`: the pipeline is named `photos`, after" in result.stderr
    assert ": photos, profile" in result.stdout
    pods = ["/mnt/data/elsewhere" if "/mnt" in each else each for each in arguments]
    (tmp_path / "my_cats").mkdir()
    folder = CliRunner().invoke(app, [str(tmp_path / "my_cats"), *pods])
    assert folder.exit_code == 0, folder.output
    assert ": my-cats, profile" in folder.stdout
    assert '"path":"/mnt/data/elsewhere"' in (tmp_path / "pipeline.yaml").read_text()
    named = CliRunner().invoke(app, [*arguments, "--set", "name=photos"])
    assert "no `name`" not in named.stderr
    rendered = tmp_path / "rendered.yaml"
    manifest = gpu_quota.quota_manifest({"nvidia.com/gpu": 2})
    other = gpu_quota.quota_manifest({"nvidia.com/gpu": 1})
    manifest["metadata"]["namespace"] = "ours"
    other["metadata"]["namespace"] = "theirs"
    rendered.write_text(yaml.safe_dump_all([manifest, other]))
    arguments += ["--quota", str(rendered)]
    result = CliRunner().invoke(app, arguments)
    assert "--namespace" in str(result.exception)
    result = CliRunner().invoke(app, [*arguments, "--namespace", "ours"])
    assert result.exit_code == 0, result.output
    assert "Warning" not in result.stderr


def test_path_of_this_machine_leads_to_the_option(error_of):
    text = error_of(compile_, "--image", IMAGE, "--data", "photos")
    assert "Use `--data`, such as `--data /mnt/data/photos`" in text


def test_output_that_is_an_input_is_refused(error_of, tmp_path):
    profile = tmp_path / "mine.yaml"
    profile.write_text("extends: cpu\n")
    config = tmp_path / "config.yaml"
    config.write_text("name: mine\n")
    quota = tmp_path / "quota.yaml"
    quota.write_text("kind: ResourceQuota\n")
    arguments = ["--profile", str(profile), "--quota", str(quota)]
    (tmp_path / "base.yaml").write_text("extends: middle.yaml\n")
    (tmp_path / "middle.yaml").write_text("extends: cpu\n")
    profile.write_text("extends: base.yaml\n")
    parents = (tmp_path / "base.yaml", tmp_path / "middle.yaml")
    for path in (profile, quota, config, *parents):
        before = path.read_bytes()
        text = error_of(compile_, str(config), *arguments, "--to", str(path))
        assert "`--to` must be another file than that of" in text
        assert path.read_bytes() == before


def test_output_that_does_not_fit_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text("earlier")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(UserError, match="can't be written"):
            write_output(path, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_output_keeps_a_link_and_may_be_a_device(tmp_path):
    (tmp_path / "real.yaml").write_text("earlier")
    link = tmp_path / "link.yaml"
    link.symlink_to("real.yaml")
    write_output(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "real.yaml").read_text() == "new"
    write_output(Path("/dev/null"), "new")
    with pytest.raises(UserError, match="a folder that exists"):
        write_output(tmp_path / "none" / "pipeline.yaml", "new")
