"""Errors of models on disk; those of calls and images are in `graft_client.errors`."""

from __future__ import annotations

from graft_client.errors import ServingError


class ModelNotFoundError(ServingError):
    """The folder holds no version of the model."""
