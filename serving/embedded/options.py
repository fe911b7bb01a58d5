"""The flags of `tensorflow_model_server`, with its names and defaults."""

from __future__ import annotations

import importlib.metadata
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tensorflow.core.protobuf import config_pb2

from graft.serving.embedded import flags
from graft.serving.embedded.batching.options import BatchingOptions
from graft.serving.embedded.contract.status import invalid
from graft.serving.embedded.flags import Flag, boolean, integer
from graft.serving.embedded.loading.model_config import read_text_proto
from graft.serving.embedded.protos import server_config_pb2

DEFAULT_MONITORING_PATH = "/monitoring/prometheus/metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Values of the flags, and of the files that they name."""

    port: int = 8500
    """TCP port of gRPC; 0 for none."""
    rest_api_port: int = 0
    """TCP port of REST; 0 for none."""
    grpc_socket_path: str = ""
    model_name: str = "default"
    model_base_path: Path | None = None
    model_config_file: Path | None = None
    model_config_file_poll_wait_seconds: float = 0
    file_system_poll_wait_seconds: float = 1
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    batching: BatchingOptions | None = None
    """None: each request runs alone."""
    monitoring_path: str | None = None
    """Path of the metrics on the REST port; None for none."""
    rest_api_timeout_in_ms: int = 30_000
    rest_api_enable_cors_support: bool = False
    """Whether replies of REST allow pages of any origin to read them."""
    ssl: Any = None
    """An SSLConfig, None for plain text."""
    enable_model_warmup: bool = True
    enable_grpc_healthcheck_service: bool = False
    allow_version_labels_for_unavailable_models: bool = False
    grpc_channel_arguments: tuple[tuple[str, str | int], ...] = ()
    grpc_max_threads: int = 8
    """Most calls answered at the same time."""
    rest_api_num_threads: int = 8
    """Most REST requests answered at the same time; more wait."""
    saved_model_tags: tuple[str, ...] = ("serve",)
    intra_op_parallelism: int = 0
    inter_op_parallelism: int = 0
    session_config: Any = None
    """A ConfigProto on which the others build, None for the default."""
    enable_per_model_batching_parameters: bool = False
    """Whether a version's `batching_params.pbtxt` has its batching parameters."""
    enable_serialization_as_tensor_content: bool = False
    """Whether replies to gRPC have their values in `tensor_content`."""
    host: str = "0.0.0.0"  # noqa: S104 - the binary listens on all addresses, too
    """Address to listen on; the binary has no such flag."""
    grpc_message_timeout_in_ms: int = 30_000
    """Longest time between a gRPC call and its message."""
    max_request_memory_bytes: int = 0
    """Most memory for all requests in flight; 0: half of the machine's."""
    enable_reload_config: bool | None = None
    """Whether gRPC clients may replace the list of models; None: only if the server
    can't be reached from other machines. The binary has no such flag and allows it."""

    @property
    def allows_reload(self) -> bool:
        """Whether gRPC clients may replace the list of models."""
        if self.enable_reload_config is not None:
            return self.enable_reload_config
        return not self.port or is_loopback(self.host)


class VersionRequest(Exception):
    """The command line asks for the server's version."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that listens on a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def parse_flags(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Read a command line.

    Args:
        arguments: As `["--port=8500", "--enable_batching"]`.

    Returns:
        The options, and the unknown arguments.

    Raises:
        StatusError: INVALID_ARGUMENT, if a file is wrong, or flags contradict each
            other.
        UsageError: If a flag's value can't be read, or for `--help`.
        VersionRequest: For `--version`.
    """
    values, unknown = flags.parse(arguments, _known_flags())
    given = SimpleNamespace(**values)
    if given.version:
        raise VersionRequest
    _check(given)
    return _options(given), unknown


def _check(given: Any) -> None:
    """Refuse flags that contradict each other, in TensorFlow Serving's words.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    if not given.port and not given.grpc_socket_path:
        raise invalid(
            "At least one of server_options.grpc_port or "
            "server_options.grpc_socket_path must be set."
        )
    if (
        given.tensorflow_session_parallelism > 0
        and given.tensorflow_intra_op_parallelism > 0
        and given.tensorflow_inter_op_parallelism > 0
    ):
        raise invalid(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, "
            "server_options.tensorflow_inter_op_parallelism) separately. You cannot "
            "configure all."
        )
    if given.batching_parameters_file and not given.enable_batching:
        raise invalid(
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true."
        )
    if not given.model_config_file and not given.model_base_path:
        raise invalid(
            "Both server_options.model_base_path and server_options.model_config_file "
            "are empty! Pass --model_base_path or --model_config_file."
        )


def _options(given: Any) -> Options:
    intra_op = given.tensorflow_intra_op_parallelism
    inter_op = given.tensorflow_inter_op_parallelism
    if intra_op <= 0 and inter_op <= 0:
        intra_op = inter_op = given.tensorflow_session_parallelism
    return Options(
        port=given.port,
        rest_api_port=given.rest_api_port,
        grpc_socket_path=given.grpc_socket_path,
        model_name=given.model_name,
        model_base_path=given.model_base_path,
        model_config_file=given.model_config_file,
        model_config_file_poll_wait_seconds=given.model_config_file_poll_wait_seconds,
        file_system_poll_wait_seconds=given.file_system_poll_wait_seconds,
        max_num_load_retries=given.max_num_load_retries,
        load_retry_interval_micros=given.load_retry_interval_micros,
        batching=(
            read_batching(given.batching_parameters_file)
            if given.enable_batching
            else None
        ),
        monitoring_path=_read_monitoring(given.monitoring_config_file),
        rest_api_timeout_in_ms=given.rest_api_timeout_in_ms,
        rest_api_enable_cors_support=given.rest_api_enable_cors_support,
        ssl=_read_ssl(given.ssl_config_file),
        enable_model_warmup=given.enable_model_warmup,
        enable_grpc_healthcheck_service=given.enable_grpc_healthcheck_service,
        allow_version_labels_for_unavailable_models=(
            given.allow_version_labels_for_unavailable_models
        ),
        grpc_channel_arguments=_read_channel_arguments(given.grpc_channel_arguments),
        grpc_max_threads=given.grpc_max_threads,
        rest_api_num_threads=given.rest_api_num_threads,
        saved_model_tags=tuple(given.saved_model_tags.split(",")),
        intra_op_parallelism=intra_op,
        inter_op_parallelism=inter_op,
        host=given.host,
        grpc_message_timeout_in_ms=given.grpc_message_timeout_in_ms,
        max_request_memory_bytes=given.max_request_memory_bytes,
        enable_reload_config=given.enable_reload_config,
        session_config=_read_session_config(given.tensorflow_session_config_file),
        enable_per_model_batching_parameters=(
            given.enable_per_model_batching_parameters
        ),
        enable_serialization_as_tensor_content=(
            given.enable_serialization_as_tensor_content
        ),
    )


def _known_flags() -> dict[str, Flag]:
    """Return the flags by name, in the order of the binary."""
    num_threads = 4 * (os.cpu_count() or 1)
    return {
        "port": Flag(integer, 8500),
        "grpc_socket_path": Flag(_text, ""),
        "rest_api_port": Flag(integer, 0),
        "rest_api_num_threads": Flag(integer, num_threads),
        "rest_api_timeout_in_ms": Flag(integer, 30_000),
        "rest_api_enable_cors_support": Flag(boolean, False),
        "enable_batching": Flag(boolean, False),
        "allow_version_labels_for_unavailable_models": Flag(boolean, False),
        "batching_parameters_file": Flag(_path, None),
        "enable_per_model_batching_parameters": Flag(boolean, False),
        "model_config_file": Flag(_path, None),
        "model_config_file_poll_wait_seconds": Flag(float, 0),
        "model_name": Flag(_text, "default"),
        "model_base_path": Flag(_path, None),
        "max_num_load_retries": Flag(integer, 5),
        "load_retry_interval_micros": Flag(integer, 60_000_000),
        "file_system_poll_wait_seconds": Flag(float, 1),
        "tensorflow_session_parallelism": Flag(integer, 0),
        "tensorflow_session_config_file": Flag(_path, None),
        "tensorflow_intra_op_parallelism": Flag(integer, 0),
        "tensorflow_inter_op_parallelism": Flag(integer, 0),
        "ssl_config_file": Flag(_path, None),
        "saved_model_tags": Flag(_text, "serve"),
        "grpc_channel_arguments": Flag(_text, ""),
        "grpc_max_threads": Flag(integer, num_threads),
        "enable_model_warmup": Flag(boolean, True),
        "version": Flag(boolean, False),
        "monitoring_config_file": Flag(_path, None),
        "enable_grpc_healthcheck_service": Flag(boolean, False),
        "enable_serialization_as_tensor_content": Flag(boolean, False),
        # The binary has none of these.
        "host": Flag(_text, "0.0.0.0"),  # noqa: S104 - as the binary does
        "grpc_message_timeout_in_ms": Flag(integer, 30_000),
        "max_request_memory_bytes": Flag(integer, 0),
        "enable_reload_config": Flag(boolean, None),
    }


def usage() -> str:
    """Return the list of flags with their defaults."""
    return flags.usage(_known_flags())


def version() -> str:
    """Return what `--version` shows: the versions of graft and of TensorFlow."""
    model_server = importlib.metadata.version("graft-tfx")
    library = importlib.metadata.version("tensorflow")
    return (
        f"TensorFlow ModelServer: graft {model_server}, embedded\n"
        f"TensorFlow Library: {library}\n"
    )


def _text(text: str) -> str:
    return text


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def read_batching(path: Path | None) -> BatchingOptions:
    """Return the parameters in a batching file; the defaults without one.

    Raises:
        StatusError: INVALID_ARGUMENT, if the file is wrong.
    """
    parameters = server_config_pb2.BatchingParameters()
    if path is not None:
        read_text_proto(path, parameters)

    def value(name: str, default: int) -> int:
        if not parameters.HasField(name):
            return default
        return int(getattr(parameters, name).value)

    try:
        return BatchingOptions(
            max_batch_size=value("max_batch_size", 1000),
            batch_timeout_seconds=value("batch_timeout_micros", 0) / 1e6,
            max_enqueued_batches=value("max_enqueued_batches", 10),
            num_batch_threads=value("num_batch_threads", os.cpu_count() or 1),
            allowed_batch_sizes=tuple(parameters.allowed_batch_sizes),
            pad_variable_length_inputs=parameters.pad_variable_length_inputs,
            max_execution_batch_size=(
                value("max_execution_batch_size", value("max_batch_size", 1000))
                if parameters.enable_large_batch_splitting.value
                else None
            ),
        )
    except ValueError as error:
        raise invalid(f"{path}: {error}") from error


def _read_session_config(path: Path | None) -> Any:
    return read_text_proto(path, config_pb2.ConfigProto()) if path else None


def _read_monitoring(path: Path | None) -> str | None:
    if path is None:
        return None
    message = read_text_proto(path, server_config_pb2.MonitoringConfig())
    config = message.prometheus_config
    return (config.path or DEFAULT_MONITORING_PATH) if config.enable else None


def _read_ssl(path: Path | None) -> Any:
    return read_text_proto(path, server_config_pb2.SSLConfig()) if path else None


def _read_channel_arguments(text: str) -> tuple[tuple[str, str | int], ...]:
    arguments: list[tuple[str, str | int]] = []
    for pair in filter(None, text.split(",")):
        name, separator, value = pair.partition("=")
        if not separator:
            raise invalid(
                "`--grpc_channel_arguments` must be name=value pairs with commas "
                f"between. Received: {text!r}"
            )
        is_number = value.lstrip("-").isdigit()
        arguments.append((name, int(value) if is_number else value))
    return tuple(arguments)
