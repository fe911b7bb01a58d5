"""The error of a failed request, with the status codes of TensorFlow Serving."""

from __future__ import annotations

from typing import Any

import grpc

MAX_MESSAGE_CHARACTERS = 1024
"""TensorFlow Serving cuts longer messages."""

_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}

HTTP_STATUS = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""HTTP status by name of the gRPC status; 500 for others."""


class StatusError(Exception):
    """A request or a load ended with a status other than OK.

    Args:
        code: The status, a `grpc.StatusCode`.
        message: Text for the client.
    """

    def __init__(self, code: Any, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    @property
    def number(self) -> int:
        """The code's number, the same in gRPC and in TensorFlow."""
        return int(self.code.value[0])

    @property
    def http_status(self) -> int:
        """The HTTP status that a REST client gets."""
        return HTTP_STATUS.get(self.code.name, 500)

    @property
    def short_message(self) -> str:
        """The message, cut as TensorFlow Serving cuts it."""
        if len(self.message) <= MAX_MESSAGE_CHARACTERS:
            return self.message
        return self.message[:MAX_MESSAGE_CHARACTERS] + "...TRUNCATED"


def invalid(message: str) -> StatusError:
    """Return an INVALID_ARGUMENT."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def failed_precondition(message: str) -> StatusError:
    """Return a FAILED_PRECONDITION."""
    return StatusError(grpc.StatusCode.FAILED_PRECONDITION, message)


def permission_denied(message: str) -> StatusError:
    """Return a PERMISSION_DENIED."""
    return StatusError(grpc.StatusCode.PERMISSION_DENIED, message)


def not_found(message: str) -> StatusError:
    """Return a NOT_FOUND."""
    return StatusError(grpc.StatusCode.NOT_FOUND, message)


def unavailable(message: str) -> StatusError:
    """Return an UNAVAILABLE."""
    return StatusError(grpc.StatusCode.UNAVAILABLE, message)


def exhausted(message: str) -> StatusError:
    """Return a RESOURCE_EXHAUSTED."""
    return StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)


def deadline_exceeded(message: str) -> StatusError:
    """Return a DEADLINE_EXCEEDED."""
    return StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, message)


def unimplemented(message: str) -> StatusError:
    """Return an UNIMPLEMENTED."""
    return StatusError(grpc.StatusCode.UNIMPLEMENTED, message)


def cancelled(message: str) -> StatusError:
    """Return a CANCELLED."""
    return StatusError(grpc.StatusCode.CANCELLED, message)


def unknown(message: str) -> StatusError:
    """Return an UNKNOWN."""
    return StatusError(grpc.StatusCode.UNKNOWN, message)


def internal(message: str) -> StatusError:
    """Return an INTERNAL."""
    return StatusError(grpc.StatusCode.INTERNAL, message)


def from_number(number: int, message: str) -> StatusError:
    """Return the error for the number of a code, as TensorFlow's errors give it."""
    return StatusError(_BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN), message)
