"""Errors of the serving package that a caller may want to tell apart.

ServingError
├── PredictionError     one image was refused; the others are fine
├── CallError           the call as a whole failed: no server, no model, no time
└── ModelNotFoundError  there is no pushed model where one was looked for
"""

from __future__ import annotations


class ServingError(Exception):
    """Base of this package's errors; the message is fit for a user."""


class PredictionError(ServingError):
    """One image could not be classified.

    Args:
        index: Position of the image among those given.
        code: Name of the gRPC status, as `INVALID_ARGUMENT`.
        message: What the server said.
    """

    def __init__(self, index: int, code: str, message: str) -> None:
        super().__init__(f"Image {index} was refused ({code}): {message}")
        self.index = index
        self.code = code
        self.message = message


class CallError(ServingError):
    """A call failed for reasons that have nothing to do with one image.

    Args:
        code: Name of the gRPC status, as `UNAVAILABLE`.
        message: What the server, or the transport, said.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ModelNotFoundError(ServingError):
    """No version of a model lies in the folder that was given."""
