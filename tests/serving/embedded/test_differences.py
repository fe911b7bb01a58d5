"""Each difference that docs/serving.md lists has a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EMBEDDED = "tests/serving/embedded"
WIRE = f"{EMBEDDED}/transport/test_rest_wire.py"
REST = f"{EMBEDDED}/transport/test_rest.py"
REFUSED = f"{REST}::test_predict_errors"
HEADERS = f"{WIRE}::test_malformed_headers"
SLOW = f"{EMBEDDED}/test_hostile_connections.py"
HOSTILE = f"{EMBEDDED}/test_hostile.py"
MESSAGES = f"{EMBEDDED}/transport/test_messages.py"
PROCESS = f"{EMBEDDED}/test_process.py"
VERSIONS = f"{EMBEDDED}/test_versions.py"

TESTS = {
    "SIGTERM": [f"{PROCESS}::test_sigterm_answers_what_is_in_flight"],
    "a version without `variables.index`": [
        f"{VERSIONS}::test_a_version_that_fails_leaves_the_old_one"
    ],
    "a REST body over 256 MiB, or": [
        f"{WIRE}::test_a_body_over_its_limit_is_not_waited_for",
        f"{HOSTILE}::test_compressed_bodies_hold_up_nobody",
    ],
    "a label whose version is no longer among": [
        f"{VERSIONS}::test_a_labelled_version_stays_until_the_label_moves"
    ],
    "a model without a name, or": [
        f"{EMBEDDED}/loading/test_model_config.py::test_models_that_nobody_can_ask"
    ],
    "a base path that is a URI": [
        f"{EMBEDDED}/loading/test_model_config.py::test_models_that_nobody_can_ask"
    ],
    "fractions of a second": [
        f"{EMBEDDED}/test_options.py::test_tests_may_poll_more_often_than_each_second"
    ],
    "`batching_params.pbtxt` or sizes": [
        f"{EMBEDDED}/batching/test_batching.py::test_options_are_checked",
        f"{PROCESS}::test_a_version_has_batching_parameters_of_its_own",
    ],
    "a version whose load failed and is tried again": [
        f"{VERSIONS}::test_a_copy_in_progress_is_tried_again"
    ],
    "why a warm-up request failed": [
        f"{PROCESS}::test_one_bad_warm_up_request_fails_the_load"
    ],
    "`metric_names` of": [f"{VERSIONS}::test_config_file_policies_labels_and_reload"],
    "metrics": [
        f"{REST}::test_metrics",
        f"{REST}::test_requests_that_are_refused_are_counted",
    ],
    "JSON over 1 MiB that is nested deeper": [REFUSED],
    "a tensor of more than 32 dimensions": [
        REFUSED,
        f"{EMBEDDED}/test_grpc.py::test_predict_errors",
    ],
    "an instance that names an input twice": [REFUSED],
    "a number too big for a double, in a member": [REFUSED],
    "a number less than ten times the largest double": [REFUSED],
    "the last digits of a double": [
        f"{EMBEDDED}/contract/test_json_columns.py::"
        "test_numbers_for_doubles_are_the_nearest"
    ],
    "the text and offset of a parse error in JSON over 1 MiB": [REFUSED],
    "a feature's name that is no UTF-8": [f"{REST}::test_example_errors"],
    "a NUL character in the name": [REFUSED, f"{REST}::test_example_errors"],
    "a label of Classify that is no UTF-8": [
        f"{EMBEDDED}/contract/test_example_calls.py::"
        "test_a_label_that_is_no_text_is_replaced"
    ],
    "an input of a quantized": [
        f"{EMBEDDED}/contract/test_tensors.py::test_types_that_are_not_read"
    ],
    "the body of a HEAD request": [
        f"{WIRE}::test_the_body_of_a_head_request_is_left_out"
    ],
    "an extension after the size of a chunk": [
        f"{WIRE}::test_a_chunk_may_have_an_extension"
    ],
    "an HTTP method that is unknown": [
        f"{WIRE}::test_other_methods_are_not_implemented"
    ],
    "two `Content-Length`, or one": [HEADERS],
    "line ends without a carriage return": [
        f"{WIRE}::test_line_ends_need_a_carriage_return",
        HEADERS,
    ],
    "a header line or target over 1 MiB": [f"{WIRE}::test_limits_of_headers"],
    "the header `Server`": [f"{WIRE}::test_the_server_is_named"],
    "a tensor of more than 1,048,576 strings": [
        f"{EMBEDDED}/contract/test_tensors.py::"
        "test_a_string_is_not_repeated_without_end"
    ],
    "a REST body that does not arrive": [
        f"{SLOW}::test_a_request_that_never_ends_is_cut_off"
    ],
    "a REST header that is not complete": [
        f"{SLOW}::test_a_request_that_never_ends_is_cut_off"
    ],
    "requests that would take more memory together": [
        f"{EMBEDDED}/transport/test_request_memory.py::test_requests_share_the_limit",
        f"{HOSTILE}::test_compressed_bodies_hold_up_nobody",
    ],
    "a gRPC message over a 64th of that memory": [
        f"{MESSAGES}::test_what_is_refused",
        f"{HOSTILE}::test_compressed_messages_hold_up_nobody",
    ],
    "a gRPC call without a message": [
        f"{SLOW}::test_calls_without_a_message_deny_nobody_for_long"
    ],
    "an animated GIF": [
        "tests/trainer/decoding/test_images.py::"
        "test_the_other_frames_of_a_gif_take_no_memory"
    ],
    "address": [
        f"{EMBEDDED}/test_options.py::test_defaults_are_those_of_the_binary",
        f"{WIRE}::test_cors_headers_and_ipv6",
    ],
    "`HandleReloadConfigRequest`": [
        f"{PROCESS}::test_a_reload_by_grpc_is_off_beyond_loopback"
    ],
    "the gRPC service of TensorFlow's profiler": [
        f"{EMBEDDED}/test_grpc_models.py::test_other_services_are_not_implemented"
    ],
    "flags for XLA": [f"{PROCESS}::test_unknown_flags_are_reported"],
    "`ServerModelConfig` with request logging": [
        f"{EMBEDDED}/loading/test_model_config.py::test_request_logging_is_ignored"
    ],
    "bytes that are no tf.Example": [
        f"{EMBEDDED}/test_grpc.py::"
        "test_a_photograph_sent_as_an_example_is_told_its_signature"
    ],
    "why the server can't start": [f"{PROCESS}::test_wrong_flags_are_an_error"],
    "JSON of predictions and errors": [
        f"{EMBEDDED}/test_typed_signatures.py::test_rows"
    ],
    "order of members in a message": [REFUSED],
}
"""Tests by the beginning of a row."""


def rows() -> list[str]:
    """Return the first cell of each row of the table."""
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    table = text[text.index("| | Binary | Embedded |") :].partition("\n\n")[0]
    return [line.split(" | ")[0].removeprefix("| ") for line in table.split("\n")[2:]]


@pytest.mark.parametrize("row", rows())
def test_each_row_has_tests_that_exist(row):
    begins = [begin for begin in TESTS if row.startswith(begin)]
    assert len(begins) == 1, f"docs/serving.md has a row without a test: {row}"
    for test in TESTS[begins[0]]:
        file, name = test.split("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert name in names, test


def test_each_test_has_its_row():
    found = rows()
    assert [
        begin for begin in TESTS if not any(row.startswith(begin) for row in found)
    ] == []
    assert len(found) == len(TESTS)
    # A cell has no bar of its own, at which it would be cut.
    assert not [row for row in found if re.search(r"\|", row)]
