"""Values of a profile in Kubernetes' syntax: quantities, labels, environments."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_SECONDS = 2**31 - 1
"""Longest time that a pod's `activeDeadlineSeconds` takes."""
REPLACED_TOKENS = ("{{", "$(")
"""Argo replaces the first one in a workflow, Kubernetes the second one in a container.

Neither can be escaped in a way that both read."""
_SECRET_NAME = re.compile("(PASSWORD|SECRET|TOKEN|API_KEY|ACCESS_KEY)")
_CPU = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?|[0-9]{1,9}m")
_MEMORY = re.compile(
    r"(?P<number>[0-9]{1,19}(\.[0-9]{1,9})?)"
    r"((?P<unit>[kMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[0-9]{1,2}))?"
)
_UNITS = {unit: Decimal(1000 ** (i + 1)) for i, unit in enumerate("kMGTPE")}
_UNITS |= {f"{unit}i": Decimal(1024 ** (i + 1)) for i, unit in enumerate("KMGTPE")}
_LEAST_BYTES = 2**20
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def cores(quantity: str) -> Decimal:
    """Return the processors of a quantity that `check_cpu` takes."""
    if quantity.endswith("m"):
        return Decimal(quantity[:-1]) / 1000
    return Decimal(quantity)


def num_bytes(quantity: str) -> Decimal:
    """Return the bytes of a quantity that `check_memory` takes.

    Raises:
        ValueError: It is not a quantity of bytes.
    """
    match = _MEMORY.fullmatch(quantity)
    if match is None:
        raise ValueError(
            "takes bytes as Kubernetes does, such as 4Gi or 500M. Received: "
            f"{quantity!r}"
        )
    factor = (
        _UNITS[match["unit"]] if match["unit"] else 10 ** int(match["exponent"] or 0)
    )
    return Decimal(match["number"]) * factor


def check_cpu(quantity: str) -> str:
    """Return a quantity of processors.

    Raises:
        ValueError: It is not one, or it is 0.
    """
    if not _CPU.fullmatch(quantity) or not cores(quantity):
        raise ValueError(
            f"takes processors above 0, such as 2, 0.5 or 500m. Received: {quantity!r}"
        )
    return quantity


def check_memory(quantity: str) -> str:
    """Return a quantity of bytes.

    Raises:
        ValueError: It is not one, or it is not within 1 MiB and 8 EiB.
    """
    if not _LEAST_BYTES <= num_bytes(quantity) < 2**63:
        raise ValueError(
            "takes at least 1Mi and less than 8Ei; without a unit it is bytes. "
            f"Received: {quantity!r}"
        )
    return quantity


def check_label_key(key: str) -> str:
    """Return the key of a label or of an annotation.

    Raises:
        ValueError: Kubernetes refuses the key.
    """
    prefix, slash, name = key.rpartition("/")
    if not _LABEL.fullmatch(name) or (slash and not _LABEL_PREFIX.fullmatch(prefix)):
        raise ValueError(
            "takes keys of letters, digits, - _ and . (at most 63), after a domain and "
            f"a / if need be, such as example.org/team. Received: {key!r}"
        )
    return key


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Return labels.

    Raises:
        ValueError: Kubernetes refuses a key or a value.
    """
    for key, value in labels.items():
        check_label_key(key)
        if value and not _LABEL.fullmatch(value):
            raise ValueError(
                f"takes values of letters, digits, - _ and . (at most 63) that begin "
                f"and end with a letter or a digit. Received: {value!r} for {key!r}"
            )
    return labels


def check_annotations(annotations: dict[str, str]) -> dict[str, str]:
    """Return annotations.

    Raises:
        ValueError: Kubernetes refuses a key.
    """
    for key in annotations:
        check_label_key(key)
    return annotations


def check_environment(env: dict[str, str]) -> dict[str, str]:
    """Return environment variables, which the compiled file has as plain text.

    Raises:
        ValueError: A name is not one, or is that of a secret; or Kubeflow or
            Kubernetes would replace a part of a value.
    """
    for name, value in env.items():
        if not ENV_NAME.fullmatch(name):
            raise ValueError(
                f"takes names of letters, digits and _. Received: {name!r}"
            )
        if _SECRET_NAME.search(name.upper()):
            raise ValueError(
                "is stored in the file as plain text: name a Secret in `secrets` "
                f"instead. Received: {name!r}"
            )
        refuse_replaced_tokens(f"the value of {name}", value)
    return env


def refuse_replaced_tokens(what: str, text: str) -> None:
    """Refuse text that does not reach a container unchanged.

    Raises:
        ValueError: The text has one of `REPLACED_TOKENS`.
    """
    for token in REPLACED_TOKENS:
        if token in text:
            raise ValueError(
                f"{what} holds {token!r}, which Kubeflow or Kubernetes would "
                "replace. Write it in another way."
            )


Cpu = Annotated[str, AfterValidator(check_cpu)]
Memory = Annotated[str, AfterValidator(check_memory)]
Labels = Annotated[dict[str, str], AfterValidator(check_labels)]
LabelKey = Annotated[str, AfterValidator(check_label_key)]
Annotations = Annotated[dict[str, str], AfterValidator(check_annotations)]
Environment = Annotated[dict[str, str], AfterValidator(check_environment)]
