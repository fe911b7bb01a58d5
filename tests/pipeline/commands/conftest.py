"""Run one command, and read the error message that it ends with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from graft.contract.errors import UserError


@pytest.fixture
def error_of() -> Callable[..., str]:
    """Return the message of the `UserError` that ends a command."""

    def invoke(command: Any, *arguments: str) -> str:
        app = command
        if not isinstance(command, typer.Typer):
            app = typer.Typer()
            app.command()(command)
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, UserError), result
        return str(result.exception)

    return invoke
