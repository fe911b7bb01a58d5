"""Errors that a user can fix.

A command that ends with a `UserError` shows its message without a stack trace and
exits with status 1. Any other exception is a bug in graft and keeps its trace.

    UserError            a mistake in input, config or environment
    └── DataError        the images or their labels are unusable
    └── WeightsError     the pretrained weights are missing or don't fit
    └── TrainingError    training can't continue (for instance a NaN loss)
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can fix. The message says how."""


class DataError(UserError):
    """The images or their labels are unusable."""


class WeightsError(UserError):
    """The pretrained weights are missing, damaged, or for another architecture."""


class TrainingError(UserError):
    """Training can't continue. The message says at which step, and why."""
