"""`graft compile`: compile the pipeline for Kubeflow Pipelines or Vertex AI."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.pipeline.commands.options import (
    ConfigPath,
    DataOption,
    FormerFileOption,
    SetOption,
    tell,
)
from graft.pipeline.commands.waiting import shown_while_waiting
from graft.pipeline.local.run_names import name_of_data

if TYPE_CHECKING:
    from graft.pipeline.kubeflow.compilation.profile import Profile

ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        help="Deployment profile: cpu, gpu-gke, gpu-eks, gpu-generic, or a YAML file.",
    ),
]
ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image", help="Image by digest or fixed tag; replaces the profile's."
    ),
]


def compile_(  # noqa: PLR0917 - options of a command
    config: ConfigPath = None,
    profile: ProfileOption = "cpu",
    image: ImageOption = None,
    target: Annotated[
        str, typer.Option("--target", help="kubeflow, or vertex for Vertex AI.")
    ] = "kubeflow",
    to: Annotated[
        Path | None,
        typer.Option("--to", "-o", help="File; pipeline.yaml or pipeline.json."),
    ] = None,
    former_to: FormerFileOption = None,
    data: DataOption = None,
    overrides: SetOption = None,
    quota: Annotated[
        Path | None,
        typer.Option(
            "--quota",
            help="Manifests with the ResourceQuota of the runs' namespace, such as the "
            "output of `kubectl kustomize`, or - for standard input; without: that of "
            "kubernetes/base, one GPU. "
            "A pipeline that asks for more GPUs at once is warned of.",
        ),
    ] = None,
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace",
            "-n",
            envvar="GRAFT_KFP_NAMESPACE",
            help="Namespace of the runs, for a --quota with those of several.",
        ),
    ] = "",
    require_fingerprint: Annotated[
        bool,
        typer.Option(
            "--require-fingerprint",
            help="Each run must set `data_fingerprint`, which graft submit computes. "
            "Ingestion is then cached while the data stay the same.",
        ),
    ] = False,
) -> None:
    """Compile the pipeline for Kubeflow Pipelines v2, or for Vertex AI.

    The images must be where the steps' pods find them: `data.path` in a mount of the
    profile, or on gs://. A config with a path of this machine, or a folder in place of
    a config, needs --data with the path in the pods, such as --data /mnt/data/photos. A
    run can name another one (graft submit --param data_path=...).
    """
    from graft.contract.errors import UserError

    if target not in ("kubeflow", "vertex"):
        raise UserError(f"`--target` must be kubeflow or vertex. Received: {target!r}")
    path = to or Path("pipeline.json" if target == "vertex" else "pipeline.yaml")
    from graft.pipeline.config import is_data, load_config
    from graft.pipeline.kubeflow.compilation.profile_file import (
        files_of_profile,
        load_profile,
    )

    inputs = [("the config", config), ("--quota", quota)]
    inputs += [("--profile", file) for file in files_of_profile(profile)]
    for name, given in inputs:
        if given is not None and is_same_file(path, Path(given)):
            raise UserError(
                f"`--to` must be another file than that of {name}. Received: "
                f"{str(path)!r}"
            )
    named_after = data
    if config is not None and data is not None and is_data(config):
        # The folder here, and where the pods find it.
        named_after, config = config, None
    loaded = load_config(
        config,
        data=data,
        overrides=overrides,
        fill_in=functools.partial(_fill_in_name, named_after),
    )
    cluster = load_profile(profile, image=image)
    from graft.pipeline.kubeflow.compilation.refusals import check_image
    from graft.serving.tensorflow_runtime import native_output_hidden

    # Refused before TFX is imported, which takes long.
    check_image(cluster.image)
    shortage = ""
    with shown_while_waiting("Compiling"), native_output_hidden():
        from graft.pipeline.kubeflow.compilation import compiler

        if target == "vertex":
            text = compiler.compile_for_vertex(loaded, cluster)
        else:
            compiled = compiler.compile_pipeline(
                loaded, cluster, require_fingerprint=require_fingerprint
            )
            text = compiled.to_yaml()
    if target == "kubeflow":
        shortage = _shortage(cluster, compiled.pipeline_spec, quota, namespace)
    write_output(path, text)
    typer.echo(f"{path}: {loaded.name}, profile {profile}, {len(text)} bytes")
    if shortage:
        typer.echo(shortage, err=True)


def _fill_in_name(named_after: str | None, values: dict[str, Any]) -> None:
    """Name the pipeline of a config without a name after the data, as a run does.

    The model's name stays that of the config, which the manifests of the server know.

    Args:
        named_after: Path of the data; None for that of the config.
        values: The config, not checked yet; it is changed.
    """
    data = values.get("data")
    path = data.get("path") if isinstance(data, dict) else None
    path = named_after or path
    if "name" in values or not isinstance(path, str) or not path:
        return  # The check of the config tells what is wrong.
    values["name"] = name_of_data(path)
    tell(
        f"The config has no `name`: the pipeline is named `{values['name']}`, after "
        "the data. Two pipelines of one name share versions and schedules."
    )


def _shortage(
    profile: Profile, spec: Mapping[str, Any], quota: Path | None, namespace: str
) -> str:
    """Return a warning if the steps ask for more GPUs at once than the quota grants."""
    from graft.pipeline.kubeflow.compilation import gpu_quota

    needed = gpu_quota.gpus_at_once(spec)
    granted = {
        resource: gpu_quota.Grant(count)
        for resource, count in gpu_quota.SHIPPED_QUOTA.items()
    }
    if quota is not None:
        granted = gpu_quota.read_quota(quota, needed, namespace)
    keys = gpu_quota.keys_of_counts(profile, spec)
    return gpu_quota.describe_shortage(needed, granted, keys)


def is_same_file(first: Path, second: Path) -> bool:
    """Return whether two paths name one file that exists."""
    try:
        return first.samefile(second)
    except OSError:
        return False


def write_output(path: Path, text: str) -> None:
    """Write a command's file; an error leaves an earlier file as it was.

    Raises:
        UserError: It can't be written.
    """
    from graft.contract.errors import UserError
    from graft.storage import atomic

    try:
        # A pipe or a device, such as /dev/stdout, can't be replaced.
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        elif not path.parent.is_dir():
            raise UserError(
                f"`--to` must lie in a folder that exists. Received: {str(path)!r}"
            )
        else:
            # Resolved, so that a link stays a link.
            atomic.write_text(str(path.resolve()), text)
    except OSError as error:
        raise UserError(f"{str(path)!r} can't be written: {error.strerror}") from error
