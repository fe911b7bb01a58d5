"""How many GPUs a compiled pipeline asks for at once, and whether a quota grants them.

Steps that wait for each other share the GPUs. Steps that can run side by side need them
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from graft.contract.errors import UserError
from graft.pipeline import strict_yaml
from graft.pipeline.kubeflow.compilation.pipeline_spec import producers_of, tasks_of

QUOTA_NAME = "graft-gpu"
SHIPPED_QUOTA: Mapping[str, int] = {"nvidia.com/gpu": 1}
"""GPUs that kubernetes/base/resource-quota.yaml grants, by resource.

It is what the GPU profiles of graft ask for. Tests compare both with this.
"""


def gpus_at_once(spec: Mapping[str, Any]) -> dict[str, int]:
    """Return the most GPUs that the steps of one run hold at a time, by resource.

    Args:
        spec: The compiled pipeline.
    """
    tasks = {task.name: task for task in tasks_of(spec)}
    counts: dict[str, dict[str, int]] = {}
    for name, task in tasks.items():
        label = spec["components"][task.component].get("executorLabel")
        executor = spec["deploymentSpec"]["executors"].get(label, {})
        accelerator = executor.get("container", {}).get("resources", {})
        accelerator = accelerator.get("accelerator")
        if accelerator is not None:
            steps = counts.setdefault(accelerator["resourceType"], {})
            steps[name] = int(accelerator["resourceCount"])
    needs = {name: producers_of(task.spec) for name, task in tasks.items()}
    return {
        resource: _most_at_once(sorted(steps), steps, _ancestors(needs))
        for resource, steps in counts.items()
    }


def _ancestors(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return all steps before each step, from the ones directly before it."""
    found: dict[str, set[str]] = {}

    def of(name: str) -> set[str]:
        if name not in found:
            found[name] = set()
            for need in needs.get(name, ()):
                found[name] |= {need} | of(need)
        return found[name]

    for name in needs:
        of(name)
    return found


def _most_at_once(
    steps: list[str], counts: Mapping[str, int], ancestors: Mapping[str, set[str]]
) -> int:
    """Return the largest sum of counts over steps of which none waits for another.

    All subsets are tried. A pipeline has few GPU steps.
    """
    if not steps:
        return 0
    first, rest = steps[0], steps[1:]
    beside = [
        step
        for step in rest
        if step not in ancestors[first] and first not in ancestors[step]
    ]
    return max(
        counts[first] + _most_at_once(beside, counts, ancestors),
        _most_at_once(rest, counts, ancestors),
    )


def read_quota(path: Path) -> dict[str, int]:
    """Return the GPUs that the ResourceQuotas among manifests grant, by resource.

    Args:
        path: YAML with manifests, such as the output of `kubectl kustomize`.

    Raises:
        UserError: The file can't be read, or has no ResourceQuota.
    """
    try:
        documents = strict_yaml.parse_generated(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"`--quota` can't be read as YAML: {error}") from error
    quotas = [
        document
        for document in documents
        if isinstance(document, dict) and document.get("kind") == "ResourceQuota"
    ]
    if not quotas:
        raise UserError(
            "`--quota` must hold a ResourceQuota, such as the output of `kubectl "
            f"kustomize` of your overlay. Received: {str(path)!r} without one"
        )
    granted: dict[str, int] = {}
    for quota in quotas:
        hard = (quota.get("spec") or {}).get("hard") or {}
        for key, value in hard.items():
            resource = str(key).removeprefix("requests.")
            if "/" not in resource:
                continue
            if not str(value).isdecimal():
                raise UserError(
                    f"`spec.hard.{key}` of a ResourceQuota must be a whole number. "
                    f"Received: {value!r}"
                )
            granted[resource] = min(int(value), granted.get(resource, int(value)))
    return granted


def quota_manifest(granted: Mapping[str, int]) -> dict[str, Any]:
    """Return the ResourceQuota that grants GPUs, by resource."""
    hard = {f"requests.{key}": str(count) for key, count in granted.items()}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": QUOTA_NAME},
        "spec": {"hard": hard},
    }


def describe_shortage(needed: Mapping[str, int], granted: Mapping[str, int]) -> str:
    """Return a warning about GPUs that the quota does not grant; empty: all are.

    Args:
        needed: GPUs at once, by resource.
        granted: GPUs that the quota grants. A resource that is absent has no limit.
    """
    short = {
        resource: count
        for resource, count in needed.items()
        if resource in granted and count > granted[resource]
    }
    if not short:
        return ""
    asked = ", ".join(
        f"{count} {resource} at once where the quota grants {granted[resource]}"
        for resource, count in short.items()
    )
    operations = "".join(
        "      - op: replace\n"
        f"        path: /spec/hard/requests.{resource.replace('/', '~1')}\n"
        f'        value: "{count}"\n'
        for resource, count in short.items()
    )
    return (
        f"Warning: a run asks for {asked}. Its pods would wait without end (exceeded "
        f"quota: {QUOTA_NAME}). Lower `gpu_pool.count`, or raise the quota in the "
        "kustomization of your overlay:\n"
        "patches:\n"
        f"  - target: {{kind: ResourceQuota, name: {QUOTA_NAME}}}\n"
        f"    patch: |\n{operations}"
        "Then compile with `--quota FILE`: the output of `kubectl kustomize` of it."
    )
