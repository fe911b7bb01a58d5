"""Options that the commands for a cluster share: its address, secrets, parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from graft.pipeline.kubeflow.cluster.api import Api

DEFAULT_HOST = "http://localhost:8888"
"""Address of a port-forward to Kubeflow's API."""
HostOption = Annotated[
    str,
    typer.Option(
        "--host",
        envvar="GRAFT_KFP_HOST",
        help="URL of Kubeflow's API, such as http://localhost:8888.",
    ),
]
NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        envvar="GRAFT_KFP_NAMESPACE",
        help="Profile namespace of a multi-user installation.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with a bearer token; or the variable GRAFT_KFP_TOKEN.",
    ),
]
CookieFileOption = Annotated[
    Path | None,
    typer.Option(
        "--cookie-file",
        help="File with the gateway's Cookie header; or GRAFT_KFP_COOKIE.",
    ),
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="A parameter of the pipeline, as YAML."
    ),
]
ServiceAccountOption = Annotated[
    str | None, typer.Option("--service-account", help="Service account of the pods.")
]


MlflowExperimentOption = Annotated[
    str | None,
    typer.Option(
        "--mlflow-experiment",
        help="MLflow experiment for the metrics of the runs, where the installation "
        "sends them to MLflow. Needs Kubeflow Pipelines 2.17.",
    ),
]


ServerVersionOption = Annotated[
    str | None,
    typer.Option(
        "--server-version",
        envvar="GRAFT_KFP_VERSION",
        help="Version of Kubeflow Pipelines, such as 2.17.0, where the server tells "
        "none.",
    ),
]


def connect(
    host: str, namespace: str, token_file: Path | None, cookie_file: Path | None
) -> Api:
    """Return the API that the options name.

    Secrets come from files, or from GRAFT_KFP_TOKEN and GRAFT_KFP_COOKIE.
    """
    import sys

    # A server that does not answer is asked again for some seconds.
    if sys.stderr.isatty():
        typer.echo(f"Asking {host} ...", err=True)
    from graft.pipeline.kubeflow.cluster.api import Api, Connection

    return Api(
        Connection(
            host=host,
            namespace=namespace,
            token=_read_secret(token_file, "GRAFT_KFP_TOKEN"),
            cookies=_read_secret(cookie_file, "GRAFT_KFP_COOKIE"),
        )
    )


def parse_parameters(texts: list[str] | None) -> dict[str, Any]:
    """Return the values of `--param NAME=VALUE` by name.

    Raises:
        UserError: An option has another form, its value is not YAML, or a name is
            there twice.
    """
    import yaml

    from graft.contract.errors import UserError
    from graft.pipeline import strict_yaml

    values = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"`--param` takes NAME=VALUE. Received: {text!r}")
        if name in values:
            raise UserError(f"`--param` takes each name once. Received twice: {name!r}")
        try:
            values[name] = strict_yaml.parse(value) if value else ""
        except yaml.YAMLError:
            raise UserError(
                f"`--param` takes a YAML value. Received: {text!r}"
            ) from None
    return values


def _read_secret(path: Path | None, variable: str) -> str:
    """Return a secret that an HTTP header can hold; no message contains it."""
    import os

    from graft.contract.errors import UserError

    if path is None:
        name, text = f"The variable {variable}", os.environ.get(variable, "")
        if not text:
            return ""
    else:
        name = repr(str(path))
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{name} can't be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise UserError(
                f"{name} must hold a token or a cookie as text. Received: bytes that "
                "are not UTF-8"
            ) from None
    text = text.strip()
    received = "nothing" if not text else ""
    if not all(" " <= character <= "~" for character in text):
        received = "a line break or a character beyond ASCII (not shown: it is secret)"
    if received:
        raise UserError(
            f"{name} must hold one line of ASCII characters. Received: {received}"
        )
    return text
