"""The flags: names and defaults of the binary."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("tensorflow_serving")
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.options import parse_flags

DEFAULTS = {
    "port": 8500,
    "rest_api_port": 0,
    "grpc_socket_path": "",
    "model_name": "default",
    "model_config_file": None,
    "model_config_file_poll_wait_seconds": 0,
    "file_system_poll_wait_seconds": 1,
    "max_num_load_retries": 5,
    "load_retry_interval_micros": 60_000_000,
    "batching": None,
    "monitoring_path": None,
    "rest_api_timeout_in_ms": 30_000,
    "ssl": None,
    "enable_model_warmup": True,
    "enable_grpc_healthcheck_service": False,
    "allow_version_labels_for_unavailable_models": False,
    "grpc_channel_arguments": (),
}


def test_defaults_are_those_of_the_binary():
    options, unknown = parse_flags(["--model_base_path=/m"])
    assert {name: getattr(options, name) for name in DEFAULTS} == DEFAULTS
    assert options.grpc_max_threads == 4 * (os.cpu_count() or 1)
    assert unknown == []


@pytest.mark.parametrize(
    ("flags", "is_allowed"),
    [
        ((), False),
        (("--host=::",), False),
        (("--host=server.example",), False),
        (("--host=localhost",), True),
        (("--host=127.0.0.1",), True),
        (("--host=[::1]",), True),
        (("--port=0", "--grpc_socket_path=/s"), True),
        (("--enable_reload_config",), True),
        (("--host=localhost", "--enable_reload_config=false"), False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_reload_by_grpc_needs_loopback_or_its_flag(flags, is_allowed):
    options, _ = parse_flags(["--model_base_path=/m", *flags])
    assert options.allows_reload is is_allowed


def test_what_is_unknown_is_handed_back():
    _, unknown = parse_flags(["--model_base_path=/m", "--xla_cpu_jit", "stray"])
    assert unknown == ["--xla_cpu_jit", "stray"]


def test_a_value_follows_an_equals_sign():
    """Other words are unknown to the binary, too, which reports and ignores them."""
    words = ["--port", "8501", "-port=1", "--", "--model_name=m"]
    options, unknown = parse_flags(["--model_base_path=/m", *words])
    assert (options.port, options.model_name) == (8500, "default")
    assert unknown == words


def test_tests_may_poll_more_often_than_each_second():
    """A difference from the binary, which takes whole seconds."""
    flags = ("--model_base_path=/m", "--file_system_poll_wait_seconds=0.5")
    options, _ = parse_flags([*flags, "--model_config_file_poll_wait_seconds=0.25"])
    assert options.file_system_poll_wait_seconds == 0.5
    assert options.model_config_file_poll_wait_seconds == 0.25


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), (0, 0)),
        (("session=3",), (3, 3)),
        (("session=3", "intra_op=1"), (1, 0)),
        (("intra_op=1", "inter_op=2"), (1, 2)),
    ],
    ids=["none", "session", "intra-wins", "each"],
)
def test_parallelism(flags, expected):
    given = [f"--tensorflow_{flag.replace('=', '_parallelism=')}" for flag in flags]
    options, _ = parse_flags(["--model_base_path=/m", *given])
    assert (options.intra_op_parallelism, options.inter_op_parallelism) == expected


def test_batching_has_the_defaults_of_the_binary():
    options, _ = parse_flags(["--model_base_path=/m", "--enable_batching"])
    batching = options.batching
    assert batching is not None
    assert batching.max_batch_size == 1000
    assert batching.batch_timeout_seconds == 0
    assert batching.max_enqueued_batches == 10
    assert batching.num_batch_threads == (os.cpu_count() or 1)
    assert batching.allowed_batch_sizes == ()
    assert not batching.pad_variable_length_inputs
    assert batching.max_execution_batch_size is None


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", 8),
        ("enable_large_batch_splitting { value: true }", 8),
        ("max_execution_batch_size { value: 4 }", 8),
        (
            "enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 4 }",
            4,
        ),
    ],
    ids=["no-splitting", "same-size", "without-splitting", "splitting"],
)
def test_large_batches_may_be_split(tmp_path, text, rows):
    file = tmp_path / "batching.config"
    file.write_text(f"max_batch_size {{ value: 8 }} {text}")
    flags = ("--enable_batching", f"--batching_parameters_file={file}")
    options, _ = parse_flags(["--model_base_path=/m", *flags])
    assert options.batching.batch_rows == rows
    assert options.batching.max_batch_size == 8


def test_channel_arguments_are_numbers_or_texts():
    flag = "--grpc_channel_arguments=grpc.max_connection_age_ms=5000,grpc.a=b"
    options, _ = parse_flags(["--model_base_path=/m", flag])
    assert options.grpc_channel_arguments == (
        ("grpc.max_connection_age_ms", 5000),
        ("grpc.a", "b"),
    )
    with pytest.raises(StatusError, match="must be name=value pairs"):
        parse_flags(["--model_base_path=/m", "--grpc_channel_arguments=a"])
