"""The mounts of a compiled file that this machine has not, for an emulation."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from graft.pipeline.kubeflow.compilation.pipeline_file import lies_in, mount_paths


def missing_mounts(
    given: Collection[str], spec: Mapping[str, Any], configs: Mapping[str, Any]
) -> list[str]:
    """Return the mounts that a compiled file needs and this machine has not.

    Args:
        given: Mount paths, or folders in them, for which this machine has a folder.
        spec: The pipeline. A mount that no path of it lies in is not needed.
        configs: Kubernetes settings by executor.
    """
    paths = set(_texts_of(spec))
    arguments = "\n".join(_arguments_of(spec))
    return [
        mount
        for mount in mount_paths(configs)
        if (
            any(lies_in(path, mount) for path in paths)
            or re.search(rf"[\"=]{re.escape(mount)}[/\"]", arguments)
        )
        and not any(lies_in(path, mount) for path in given)
        and not os.path.isdir(mount)
    ]


def _arguments_of(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the arguments of the containers: JSON, and --option=path."""
    for executor in spec.get("deploymentSpec", {}).get("executors", {}).values():
        yield from executor.get("container", {}).get("args", ())


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("/"):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts_of(each)
