"""The error that a user can cause and mend.

Everything that derives from `UserError` is shown as its message alone, without a stack
trace, and ends the command with exit status 1; any other exception is a defect of graft
and keeps its trace.

    UserError            a mistake in input, config or environment
    └── DataError        the images or their labels can't be used as they are
    └── WeightsError     the pretrained weights are missing or don't fit
    └── TrainingError    training can't go on (for instance a NaN loss)
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend; the message says how."""


class DataError(UserError):
    """The images or their labels can't be used as they are."""


class WeightsError(UserError):
    """The pretrained weights are missing, damaged, or of another architecture."""


class TrainingError(UserError):
    """Training can't go on; the message says at which step and why."""
