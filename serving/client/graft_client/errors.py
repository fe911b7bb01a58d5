"""Errors of the client.

ServingError
├── PredictionError  one image was refused; the others are fine
└── CallError        the call failed as a whole: no server, no model, no time
"""

from __future__ import annotations


class ServingError(Exception):
    """Base of the errors; the message can be shown to a user."""


class PredictionError(ServingError):
    """One image could not be classified.

    Args:
        index: Position of the image among those given.
        code: Name of the gRPC status, such as `INVALID_ARGUMENT`.
        message: The server's message.
    """

    def __init__(self, index: int, code: str, message: str) -> None:
        super().__init__(f"Image {index} was refused ({code}): {message}")
        self.index = index
        self.code = code
        self.message = message


class CallError(ServingError):
    """A call failed as a whole, whatever its images are.

    Args:
        code: Name of the gRPC status, such as `UNAVAILABLE`.
        message: The message of the server or of gRPC.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
