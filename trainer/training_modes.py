"""Mark in the type of a key of `TrainingConfig` which kind of training reads it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


@dataclass(frozen=True)
class ReadWith:
    """The kinds of training that read a key.

    Attributes:
        modes: All of them must be chosen.
        needs: What the key needs, for the user.
    """

    modes: frozenset[str]
    needs: str


def _read_with(*modes: str, needs: str) -> ReadWith:
    return ReadWith(frozenset(modes), needs)


Stored = Annotated[
    T, _read_with("stored", needs="strategy `feature_extraction` or `linear`")
]
Solver = Annotated[
    T,
    _read_with(
        "solver",
        needs="a linear head on stored features (optimizer `lbfgs` or `ridge`)",
    ),
]
Gradient = Annotated[
    T,
    _read_with(
        "gradient",
        needs="training by epochs: an optimizer such as `adamw`, layers in "
        "`model.head`, or strategy `frozen` or `fine_tune`",
    ),
]
WeightDecay = Annotated[
    T, _read_with("weight_decay", needs="optimizer `adamw` or `sgd`")
]
Momentum = Annotated[T, _read_with("sgd", needs="optimizer `sgd`")]
Plateau = Annotated[
    T,
    _read_with(
        "gradient", "plateau", needs="training by epochs with schedule `plateau`"
    ),
]
InTheLoop = Annotated[
    T, _read_with("in_the_loop", needs="strategy `frozen` or `fine_tune`")
]
FineTune = Annotated[T, _read_with("fine_tune", needs="strategy `fine_tune`")]


def modes_of(strategy: str, optimizer: str, schedule: str, is_solved: bool) -> set[str]:
    """Return the kinds of training that a config chooses.

    Args:
        strategy: `training.strategy`.
        optimizer: `training.optimizer`.
        schedule: `training.schedule`.
        is_solved: Whether a solver fits the head, if it is on stored features.
    """
    modes = {"gradient", optimizer, schedule}
    if strategy in ("frozen", "fine_tune"):
        modes |= {"in_the_loop", strategy}
    elif is_solved:
        return {"stored", "solver"}
    else:
        modes.add("stored")
    if optimizer in ("auto", "adamw", "sgd"):
        modes.add("weight_decay")
    return modes


def find_unread(config: BaseModel, modes: Set[str]) -> dict[str, str]:
    """Return the keys that were set, but that no chosen kind of training reads.

    Args:
        config: A config whose keys are marked.
        modes: The kinds that are chosen.

    Returns:
        Key to what it needs, in the order of the fields.
    """
    return {
        name: mark.needs
        for name, field in type(config).model_fields.items()
        for mark in field.metadata
        if isinstance(mark, ReadWith)
        and name in config.model_fields_set
        and getattr(config, name) != field.get_default(call_default_factory=True)
        and not mark.modes <= modes
    }
