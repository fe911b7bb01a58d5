"""The flags of `tensorflow_model_server`, with its names and defaults."""

from __future__ import annotations

import argparse
import importlib.metadata
import ipaddress
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import config_pb2

from graft.serving.embedded.batching.options import BatchingOptions
from graft.serving.embedded.contract.status import StatusError, invalid
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
        SystemExit: If a flag's value can't be read.
    """
    flags, unknown = _parser().parse_known_args(list(arguments))
    if not flags.port and not flags.grpc_socket_path:
        raise invalid(
            "At least one of server_options.grpc_port or "
            "server_options.grpc_socket_path must be set."
        )
    if (
        flags.tensorflow_session_parallelism > 0
        and flags.tensorflow_intra_op_parallelism > 0
        and flags.tensorflow_inter_op_parallelism > 0
    ):
        raise invalid(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, "
            "server_options.tensorflow_inter_op_parallelism) separately. You cannot "
            "configure all."
        )
    if flags.batching_parameters_file and not flags.enable_batching:
        raise invalid(
            "You supplied --batching_parameters_file without --enable_batching"
        )
    if not flags.model_config_file and not flags.model_base_path:
        raise invalid(
            "Both server_options.model_base_path and server_options.model_config_file "
            "are empty! Pass --model_base_path or --model_config_file."
        )
    parallelism = flags.tensorflow_session_parallelism
    options = Options(
        port=flags.port,
        rest_api_port=flags.rest_api_port,
        grpc_socket_path=flags.grpc_socket_path,
        model_name=flags.model_name,
        model_base_path=flags.model_base_path,
        model_config_file=flags.model_config_file,
        model_config_file_poll_wait_seconds=flags.model_config_file_poll_wait_seconds,
        file_system_poll_wait_seconds=flags.file_system_poll_wait_seconds,
        max_num_load_retries=flags.max_num_load_retries,
        load_retry_interval_micros=flags.load_retry_interval_micros,
        batching=(
            read_batching(flags.batching_parameters_file)
            if flags.enable_batching
            else None
        ),
        monitoring_path=_read_monitoring(flags.monitoring_config_file),
        rest_api_timeout_in_ms=flags.rest_api_timeout_in_ms,
        rest_api_enable_cors_support=flags.rest_api_enable_cors_support,
        ssl=_read_ssl(flags.ssl_config_file),
        enable_model_warmup=flags.enable_model_warmup,
        enable_grpc_healthcheck_service=flags.enable_grpc_healthcheck_service,
        allow_version_labels_for_unavailable_models=(
            flags.allow_version_labels_for_unavailable_models
        ),
        grpc_channel_arguments=_read_channel_arguments(flags.grpc_channel_arguments),
        grpc_max_threads=flags.grpc_max_threads,
        rest_api_num_threads=flags.rest_api_num_threads,
        saved_model_tags=tuple(flags.saved_model_tags.split(",")),
        intra_op_parallelism=flags.tensorflow_intra_op_parallelism or parallelism,
        inter_op_parallelism=flags.tensorflow_inter_op_parallelism or parallelism,
        host=flags.host,
        grpc_message_timeout_in_ms=flags.grpc_message_timeout_in_ms,
        max_request_memory_bytes=flags.max_request_memory_bytes,
        enable_reload_config=flags.enable_reload_config,
        session_config=_read_session_config(flags.tensorflow_session_config_file),
        enable_per_model_batching_parameters=(
            flags.enable_per_model_batching_parameters
        ),
        enable_serialization_as_tensor_content=(
            flags.enable_serialization_as_tensor_content
        ),
    )
    return options, unknown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m graft.serving.embedded", allow_abbrev=False, description=__doc__
    )
    parser.add_argument(
        "--version", action=_ShowVersion, type=_boolean, nargs="?", const=True
    )

    def add(name: str, kind: Any, default: Any) -> None:
        if kind is _boolean:
            parser.add_argument(
                f"--{name}", type=kind, default=default, nargs="?", const=True
            )
        else:
            parser.add_argument(f"--{name}", type=kind, default=default)

    num_cores = os.cpu_count() or 1
    add("port", int, 8500)
    add("rest_api_port", int, 0)
    add("grpc_socket_path", str, "")
    add("model_name", str, "default")
    add("model_base_path", _path, None)
    add("model_config_file", _path, None)
    add("model_config_file_poll_wait_seconds", float, 0)
    add("file_system_poll_wait_seconds", float, 1)
    add("max_num_load_retries", int, 5)
    add("load_retry_interval_micros", int, 60_000_000)
    add("enable_batching", _boolean, False)
    add("batching_parameters_file", _path, None)
    add("monitoring_config_file", _path, None)
    add("rest_api_timeout_in_ms", int, 30_000)
    add("rest_api_enable_cors_support", _boolean, False)
    add("ssl_config_file", _path, None)
    add("enable_model_warmup", _boolean, True)
    add("enable_grpc_healthcheck_service", _boolean, False)
    add("allow_version_labels_for_unavailable_models", _boolean, False)
    add("grpc_channel_arguments", str, "")
    add("grpc_max_threads", int, 4 * num_cores)
    add("rest_api_num_threads", int, 4 * num_cores)
    add("saved_model_tags", str, "serve")
    add("tensorflow_session_config_file", _path, None)
    add("enable_per_model_batching_parameters", _boolean, False)
    add("enable_serialization_as_tensor_content", _boolean, False)
    add("tensorflow_session_parallelism", int, 0)
    add("tensorflow_intra_op_parallelism", int, 0)
    add("tensorflow_inter_op_parallelism", int, 0)
    add("host", str, "0.0.0.0")  # noqa: S104 - as the binary does
    add("grpc_message_timeout_in_ms", int, 30_000)
    add("max_request_memory_bytes", int, 0)
    add("enable_reload_config", _boolean, None)
    return parser


class _ShowVersion(argparse.Action):
    """Prints the versions of graft and TensorFlow, and ends the process."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if not values:
            return
        model_server = importlib.metadata.version("graft-tfx")
        library = importlib.metadata.version("tensorflow")
        sys.stdout.write(
            f"TensorFlow ModelServer: graft {model_server}, embedded\n"
            f"TensorFlow Library: {library}\n"
        )
        parser.exit()


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1", "t", "yes"):
        return True
    if text.lower() in ("false", "0", "f", "no"):
        return False
    raise argparse.ArgumentTypeError(f"must be true or false. Received: {text!r}")


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


__all__ = ["Options", "StatusError", "parse_flags"]
