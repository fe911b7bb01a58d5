"""Kubeflow's API, with a message for each way in which a call can fail."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.contract.errors import UserError

TOKEN_PATH = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 - a path
"""File with the projected token of a pod."""
AUDIENCE = "pipelines.kubeflow.org"
IN_CLUSTER_HOST = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
MAX_PAGES = 1000
"""Most pages of a list, of 100 items each, that are read."""
MAX_VERSION_LENGTH = 40
RETRIED_STATUSES = (429, 500, 502, 503, 504)


class ApiError(UserError):
    """Kubeflow refused a call, or did not answer.

    Attributes:
        status: HTTP status; 0 if there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Connection:
    """Address and credentials of Kubeflow's API.

    Attributes:
        host: URL of the API, such as http://localhost:8888 behind a port-forward.
        namespace: Profile namespace of a multi-user installation; empty: standalone.
        token: Bearer token; empty: the pod's projected token, if there is one.
        cookies: Value of the Cookie header, for a gateway's session.
        ca_file: Certificate authority of the host; empty: the system's.
        attempts: Most attempts of a call that may be repeated.
        pause_seconds: Wait before the second attempt, doubled for each later one.
        timeout_seconds: Time limit of one attempt.
    """

    host: str
    namespace: str = ""
    token: str = ""
    cookies: str = ""
    ca_file: str = ""
    attempts: int = 4
    pause_seconds: float = 1.0
    timeout_seconds: float = 30.0


class Api:
    """The services of the generated client, with one method to call them."""

    def __init__(self, connection: Connection) -> None:
        """Create the client without sending anything.

        Raises:
            ApiError: `host` is not a URL.
        """
        import kfp_server_api as server

        if not connection.host.startswith(("http://", "https://")):
            raise ApiError(
                "`--host` must be a URL such as http://localhost:8888. "
                f"Received: {connection.host!r}"
            )
        configuration = server.Configuration(host=connection.host.rstrip("/"))
        # `call` decides per call whether it is repeated.
        configuration.retries = False
        if connection.ca_file:
            configuration.ssl_ca_cert = connection.ca_file
        token = connection.token or _projected_token()
        if token:
            configuration.api_key["authorization"] = token
            configuration.api_key_prefix["authorization"] = "Bearer"
        client = server.ApiClient(configuration, cookie=connection.cookies or None)
        self.connection = connection
        self._client = client
        self.pipelines = server.PipelineServiceApi(client)
        self.uploads = server.PipelineUploadServiceApi(client)
        self.runs = server.RunServiceApi(client)
        self.recurring_runs = server.RecurringRunServiceApi(client)
        self.experiments = server.ExperimentServiceApi(client)
        self._health = server.HealthzServiceApi(client)
        self.models = server

    def call(
        self,
        method: Callable[..., Any],
        *args: Any,
        may_repeat: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Call a method of a service.

        Args:
            method: The service's method.
            *args: Its arguments.
            may_repeat: Whether a repeated call does no harm after a lost answer.
            **kwargs: Its keyword arguments; None is left out.

        Returns:
            The answer, as a model of the generated client.

        Raises:
            ApiError: Kubeflow refused the call, or did not answer any attempt.
        """
        import urllib3
        from kfp_server_api.exceptions import ApiException, OpenApiException

        given = {key: value for key, value in kwargs.items() if value is not None}
        given["_request_timeout"] = self.connection.timeout_seconds
        pause = self.connection.pause_seconds
        attempt = 1
        while True:
            is_last = attempt >= self.connection.attempts or not may_repeat
            try:
                answer: Any = method(*args, **given)
            except ApiException as error:
                if is_last or error.status not in RETRIED_STATUSES:
                    raise self._refusal(error) from None
            except OpenApiException:
                raise
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if is_last:
                    raise self._no_answer(error) from None
            except (AttributeError, RecursionError, TypeError, ValueError) as error:
                raise self._nonsense(str(error)) from error
            else:
                # The generated client reads a login page as an empty message.
                if "json" not in self._client.last_response.getheader(
                    "Content-Type", ""
                ):
                    raise self._no_api()
                self._check_answer()
                return answer
            time.sleep(pause)
            pause *= 2
            attempt += 1

    def server_version(self) -> str:
        """Return the server's version, such as "2.17.0"; empty if it tells none.

        Raises:
            ApiError: Kubeflow refused the call, or did not answer any attempt.
        """
        self.call(self._health.healthz_service_get_healthz)
        # The generated model lacks the field `tag_name`.
        version = str(self._content().get("tag_name") or "")[:MAX_VERSION_LENGTH]
        return "" if version == "unknown" else version

    def pages(
        self, method: Callable[..., Any], *args: Any, field: str, **kwargs: Any
    ) -> list[Any]:
        """Return the items of all pages of a list.

        Args:
            method: The service's method, which takes a `page_token`.
            *args: Its arguments.
            field: Field of the answer with the items.
            **kwargs: Its keyword arguments; None is left out.

        Raises:
            ApiError: Kubeflow refused a call, did not answer, or the pages don't end.
        """
        token, found = "", list[Any]()
        for _ in range(MAX_PAGES):
            page = self.call(method, *args, page_token=token, **kwargs)
            found += getattr(page, field) or []
            last, token = token, page.next_page_token or ""
            if not token:
                return found
            if token == last:
                break
        raise self._nonsense("its list does not end")

    def required_id(self, value: Any, what: str) -> str:
        """Return the id in an answer.

        Args:
            value: Field of the answer.
            what: What has the id, for the message.

        Raises:
            ApiError: There is none.
        """
        if not isinstance(value, str) or not value:
            raise self._nonsense(f"{what} has no id")
        return value

    def _content(self) -> dict[str, Any]:
        """Return the JSON of the last answer."""
        try:
            content = json.loads(self._client.last_response.data)
        except (ValueError, TypeError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise self._nonsense("it is not a JSON object")
        return content

    def _check_answer(self) -> None:
        """Refuse an answer that the generated client would read as an empty one."""
        for key, value in self._content().items():
            if isinstance(value, list) and not all(isinstance(i, dict) for i in value):
                raise self._nonsense(f"`{key}` must be a list of objects")

    def _nonsense(self, reason: str) -> ApiError:
        # With the status of an answer, so that no call is repeated.
        return ApiError(
            f"{self.connection.host} gave an answer that is not one of Kubeflow's API: "
            f"{reason[:200]}. Check --host, and the server's log.",
            200,
        )

    def _refusal(self, error: Any) -> ApiError:
        host, status = self.connection.host, int(error.status or 0)
        message = _message_of(error)
        if status in (301, 302, 303, 307):
            return self._no_api()
        if status == 401:
            text = (
                f"{host} refused the login (401): the token or cookie is "
                "missing or expired. Get a new one (docs/kubeflow.md, Access)."
            )
        elif status == 403:
            text = (
                f"{host} does not allow this (403) in namespace "
                f"{self.connection.namespace!r}: the account lacks the role "
                "kubeflow-pipelines-edit there, or --namespace is missing."
            )
        else:
            text = f"{host} answered {status}: {message}"
        return ApiError(text, status)

    def _no_answer(self, error: Exception) -> ApiError:
        reason = str(getattr(error, "reason", error)).splitlines()[0]
        return ApiError(
            f"{self.connection.host} does not answer ({type(error).__name__}: "
            f"{reason}). Is the port-forward running (docs/kubeflow.md, Access)?"
        )

    def _no_api(self) -> ApiError:
        return ApiError(
            f"{self.connection.host} answers, but not as Kubeflow's API. It may be a "
            "login page. Check --host, and the cookie or token."
        )


def _projected_token() -> str:
    path = Path(os.environ.get("KF_PIPELINES_SA_TOKEN_PATH", TOKEN_PATH))
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _message_of(error: Any) -> str:
    try:
        body = json.loads(error.body)
        return str(body.get("error") or body.get("message") or error.reason)
    except (TypeError, ValueError, AttributeError):
        return str(error.reason)
