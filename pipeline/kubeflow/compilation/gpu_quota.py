"""How many GPUs a compiled pipeline asks for at once, and whether a quota grants them.

Steps that wait for each other share the GPUs. Steps that can run side by side need them
together.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from graft.contract.errors import UserError
from graft.pipeline import strict_yaml
from graft.pipeline.kubeflow.compilation.kubernetes_values import num_bytes
from graft.pipeline.kubeflow.compilation.pipeline_spec import producers_of, tasks_of
from graft.pipeline.kubeflow.compilation.profile import Profile

QUOTA_NAME = "graft-gpu"
SHIPPED_QUOTA: Mapping[str, int] = {"nvidia.com/gpu": 1}
"""GPUs that kubernetes/base/resource-quota.yaml grants, by resource.

It is what the GPU profiles of graft ask for. Tests compare both with this.
"""


@dataclass(frozen=True)
class Grant:
    """What a ResourceQuota grants of one resource.

    Attributes:
        count: GPUs.
        quota: Name of the ResourceQuota.
        namespace: Its namespace; empty: the manifest names none.
    """

    count: int
    quota: str = QUOTA_NAME
    namespace: str = ""

    @property
    def full_name(self) -> str:
        """Name of the quota, with its namespace where that is known."""
        if not self.namespace:
            return self.quota
        return f"{self.quota} of namespace {self.namespace}"


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


def read_quota(
    path: Path, asked: Collection[str], namespace: str = ""
) -> dict[str, Grant]:
    """Return the GPUs that the ResourceQuotas among manifests grant, by resource.

    Args:
        path: YAML with manifests, such as the output of `kubectl kustomize`; `-` is
            standard input.
        asked: Resources that the pipeline asks for; others are left out.
        namespace: Namespace of the runs; empty: the only one that the file names.

    Raises:
        UserError: The file can't be read, has no ResourceQuota, or has those of
            several namespaces of which `namespace` names none.
    """
    try:
        if str(path) == "-":
            text = sys.stdin.buffer.read().decode("utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        documents = strict_yaml.parse_generated(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"`--quota` can't be read as YAML: {error}") from error
    quotas = [
        manifest
        for manifest in _manifests(documents)
        if manifest.get("kind") == "ResourceQuota"
    ]
    if not quotas:
        raise UserError(
            "`--quota` must hold a ResourceQuota, such as the output of `kubectl "
            f"kustomize` of your overlay. Received: {str(path)!r} without one"
        )
    granted: dict[str, Grant] = {}
    for quota in _of_namespace(quotas, namespace) if asked else ():
        spec = _mapping(quota, "spec", "spec")
        hard = _mapping(spec, "hard", "spec.hard")
        for resource in asked:
            key = f"requests.{resource}"
            if key not in hard:
                continue
            grant = Grant(
                _whole_number(key, hard[key]),
                str(_mapping(quota, "metadata", "metadata").get("name", QUOTA_NAME)),
                _namespace_of(quota),
            )
            # All quotas of a namespace hold.
            if resource not in granted or grant.count < granted[resource].count:
                granted[resource] = grant
    return granted


def _of_namespace(
    quotas: Sequence[Mapping[str, Any]], namespace: str
) -> list[Mapping[str, Any]]:
    """Return the ResourceQuotas that hold in a namespace.

    One that names no namespace is for whichever it is applied to.

    Raises:
        UserError: They are of several namespaces, or of another one.
    """
    found = {_namespace_of(quota) for quota in quotas} - {""}
    if len(found) > 1 and not namespace:
        raise UserError(
            f"`--quota` holds ResourceQuotas of the namespaces {sorted(found)}. Name "
            f"that of the runs: `--namespace {min(found)}`."
        )
    if found and namespace and namespace not in found:
        raise UserError(
            "`--namespace` must be a namespace with a ResourceQuota in the file of "
            f"`--quota`, one of {sorted(found)}. Received: {namespace!r}"
        )
    return [
        quota
        for quota in quotas
        if not namespace or _namespace_of(quota) in ("", namespace)
    ]


def _namespace_of(quota: Mapping[str, Any]) -> str:
    return str(_mapping(quota, "metadata", "metadata").get("namespace") or "")


def _manifests(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield manifests, and those in the lists that `kubectl get` prints."""
    for document in documents:
        if not isinstance(document, dict):
            continue
        yield document
        items = document.get("items")
        if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
            kind = str(document["kind"]).removesuffix("List")
            for item in items:
                if isinstance(item, dict):
                    yield {"kind": kind, **item}


def _mapping(parent: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = parent.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise UserError(
            f"`{where}` of a ResourceQuota must hold keys and values. Received: "
            f"{value!r}"
        )
    return value or {}


def _whole_number(key: str, value: Any) -> int:
    """Return a number of GPUs, such as 2, "2" or "1k"."""
    try:
        number = num_bytes(str(value))
        if number == int(number):
            return int(number)
    except ValueError:
        pass
    raise UserError(
        f"`spec.hard.{key}` of a ResourceQuota must be a whole number. Received: "
        f"{value!r}"
    )


def quota_manifest(granted: Mapping[str, int]) -> dict[str, Any]:
    """Return the ResourceQuota that grants GPUs, by resource."""
    hard = {f"requests.{key}": str(count) for key, count in granted.items()}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": QUOTA_NAME},
        "spec": {"hard": hard},
    }


def keys_of_counts(profile: Profile, spec: Mapping[str, Any]) -> list[str]:
    """Return the keys of a profile that say how many GPUs the steps ask for.

    Args:
        profile: The cluster.
        spec: The compiled pipeline.
    """
    keys = set()
    for task in tasks_of(spec):
        if profile.is_gpu_step(task.name):
            own = profile.settings_of(task.name).gpu_count
            keys.add(f"steps.{task.name}.gpu_count" if own else "gpu_pool.count")
    return sorted(keys)


def describe_shortage(
    needed: Mapping[str, int],
    granted: Mapping[str, Grant],
    keys: Sequence[str] = ("gpu_pool.count",),
) -> str:
    """Return a warning about GPUs that the quota does not grant; empty: all are.

    Args:
        needed: GPUs at once, by resource.
        granted: GPUs that the quota grants. A resource that is absent has no limit.
        keys: Keys of the profile to lower.
    """
    short = {
        resource: count
        for resource, count in needed.items()
        if resource in granted and count > granted[resource].count
    }
    if not short:
        return ""
    asked = ", ".join(
        f"{count} {resource} at once where the quota grants {granted[resource].count}"
        for resource, count in short.items()
    )
    quotas = sorted({granted[resource].full_name for resource in short})
    patches = "".join(
        f"  - target: {{kind: ResourceQuota, name: {granted[resource].quota}}}\n"
        "    patch: |\n"
        "      - op: replace\n"
        f"        path: /spec/hard/requests.{resource.replace('/', '~1')}\n"
        f'        value: "{count}"\n'
        for resource, count in short.items()
    )
    lower = " or ".join(f"`{key}`" for key in keys)
    return (
        f"Warning: a run asks for {asked}. Its pods would wait without end (exceeded "
        f"quota: {', '.join(quotas)}). Lower {lower}, or raise the quota in the "
        "kustomization of your overlay:\n"
        f"patches:\n{patches}"
        "Then compile with `--quota FILE`: the output of `kubectl kustomize` of it."
    )
