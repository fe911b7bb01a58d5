"""Decide per step whether Kubeflow caches it, and how it is retried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graft.pipeline.kubeflow.compilation.kubernetes_values import MAX_SECONDS
from graft.pipeline.kubeflow.compilation.pipeline_spec import title_of
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.runtime_parameters import FINGERPRINT_PARAMETER

UNCACHED_OUTPUTS = ("tfx.PushedModel",)
"""A step with such an output changes a system outside of the pipeline."""
NODE_WAIT_SECONDS = 3600
"""Time that an attempt may wait for a node, beyond its time limit."""


def caching_options(
    task: Mapping[str, Any],
    component: Mapping[str, Any],
    *,
    is_forced: bool | None,
    uncached_types: frozenset[str],
    require_fingerprint: bool,
) -> dict[str, bool]:
    """Return the `CachingOptions` of a step.

    A step is cached if its outputs depend on its inputs alone. A step without input
    artifacts reads outside data: it is cached only if the run must name a fingerprint
    of these data. A step that pushes or writes for the dashboard runs every time.

    Args:
        task: Spec of the task.
        component: Spec of its component.
        is_forced: What the profile says about this step; None: decide here.
        uncached_types: Titles of further output types whose steps run every time.
        require_fingerprint: Whether every run must name its data's fingerprint.
    """
    if is_forced is not None:
        return {"enableCache": is_forced}
    outputs = component.get("outputDefinitions", {}).get("artifacts", {}).values()
    for output in outputs:
        if title_of(output["artifactType"]) in {*UNCACHED_OUTPUTS, *uncached_types}:
            return {"enableCache": False}
    inputs = task.get("inputs", {})
    has_fingerprint = FINGERPRINT_PARAMETER in inputs.get("parameters", {})
    return {
        "enableCache": bool(inputs.get("artifacts"))
        or (require_fingerprint and has_fingerprint)
    }


def retry_policy(profile: Profile, name: str) -> dict[str, Any] | None:
    """Return the `RetryPolicy` of a step; None if it is not retried.

    All four fields are set, because the backend reads an absent one as zero, which
    disables retries. Argo counts `backoffMaxDuration` from the first attempt's start.
    """
    settings = profile.settings_of(name)
    retry = settings.retry or profile.retry
    if not retry.attempts:
        return None
    timeout = settings.timeout_seconds or profile.timeout_seconds
    longest = (retry.attempts + 1) * (timeout + NODE_WAIT_SECONDS)
    longest += int(retry.seconds_of_waits())
    return {
        "maxRetryCount": retry.attempts,
        "backoffDuration": f"{retry.backoff_seconds}s",
        "backoffFactor": retry.backoff_factor,
        "backoffMaxDuration": f"{min(longest, MAX_SECONDS)}s",
    }
