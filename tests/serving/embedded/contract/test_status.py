"""HTTP statuses of gRPC statuses."""

from __future__ import annotations

import grpc
import pytest

from graft.serving.embedded.contract.status import StatusError

CODES = {
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
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
}


@pytest.mark.parametrize(("code", "status"), CODES.items())
def test_each_status_has_its_http_code(code, status):
    assert StatusError(grpc.StatusCode[code], "").http_status == status
