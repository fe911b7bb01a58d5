"""Errors that a user can fix.

A command that ends with a `UserError` shows its message without a stack trace and
exits with its `exit_status`, 1 for most. Any other exception is a bug in graft and
keeps its trace.

    UserError            a mistake in input, config or environment
    └── DataError        the images or their labels are unusable
    └── WeightsError     the pretrained weights are missing or don't fit
    └── TrainingError    training can't continue (for instance a NaN loss)
    └── StoreChangedError  the model store changed since the caller read it (status 4)
    └── DamagedFileError  a file of an earlier run is damaged
    └── RolledBackError  this very model was taken out of production before
"""

from __future__ import annotations

from typing import ClassVar


class UserError(Exception):
    """A mistake that the user can fix. The message says how."""

    exit_status: ClassVar[int] = 1
    """Exit status of a command that ends with this error."""


class DataError(UserError):
    """The images or their labels are unusable."""


class WeightsError(UserError):
    """The pretrained weights are missing, damaged, or for another architecture."""


class TrainingError(UserError):
    """Training can't continue. The message says at which step, and why."""


class StoreChangedError(UserError):
    """The model store is not what the model was judged against, or the user saw.

    Nothing was changed. The message says what is served now and how to go on.
    """

    exit_status: ClassVar[int] = 4


class RolledBackError(UserError):
    """This very model was taken out of production before. Nothing was changed."""


class DamagedFileError(UserError):
    """A file that a node of an earlier run wrote is damaged.

    Args:
        path: The file. Its folder is an artifact, which the next run makes again.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path!r} is damaged. Move its folder away and run `graft run` again: the "
            "node that wrote it runs anew."
        )
        self.path = path
