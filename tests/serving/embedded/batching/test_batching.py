"""Dynamic batching over a real SavedModel: merged and refused requests."""

from __future__ import annotations

import contextlib
import functools
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving")
from graft.serving.embedded.batching.options import BatchingOptions
from graft.serving.embedded.batching.runner import BatchingRunner
from graft.serving.embedded.batching.scheduler import BatchScheduler
from graft.serving.embedded.contract.servable import Caller
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.loading.saved_model import SavedModel


@pytest.fixture(scope="module")
def model(model_versions):
    loaded = SavedModel(model_versions[0])
    yield loaded
    loaded.close()


class Watched:
    """A SavedModel that records the size of each batch, and can be delayed."""

    def __init__(self, model):
        self._model = model
        self.signatures = model.signatures
        self.sizes = []
        self.delay_seconds = 0.0

    def run(self, feeds, fetches, timeout_seconds=None, *, on_this_thread=False):
        self.sizes.append(len(next(iter(feeds.values()))))
        time.sleep(self.delay_seconds)
        return self._model.run(
            feeds, fetches, timeout_seconds, on_this_thread=on_this_thread
        )


@pytest.fixture
def watched(model):
    return Watched(model)


@pytest.fixture
def runner(watched):
    with contextlib.ExitStack() as stack:

        def start(**options):
            parameters = BatchingOptions(**options)
            scheduler = BatchScheduler(parameters.num_batch_threads)
            stack.callback(scheduler.close)
            return BatchingRunner(watched, scheduler, parameters)

        yield start


def ask(batching, feeds, fetches, deadline=None):
    return functools.partial(batching.run, feeds, fetches, Caller(deadline))


def floats(*values):
    return {"line_x:0": np.array(values, np.float32)}


def names(model, signature):
    return [info.name for info in model.signatures[signature].outputs.values()]


def gather(*runs):
    """Return what calls of a runner return or raise; each begins after the last."""
    with ThreadPoolExecutor(len(runs)) as pool:
        begun = []
        for run in runs:
            begun.append(pool.submit(run))
            time.sleep(0.002)
        return [each.exception() or each.result() for each in begun]


def test_what_waits_together_runs_together(watched, runner):
    batching = runner(max_batch_size=8, batch_timeout_seconds=0.2)
    fetches = names(watched, "line")
    answers = gather(*(ask(batching, floats(n, n + 100), fetches) for n in range(6)))
    assert [each[0].tolist() for each in answers] == [
        [4 * n, 4 * (n + 100)] for n in range(6)
    ]
    assert sorted(watched.sizes) == [4, 8]


def test_without_a_waiting_time_the_first_goes_at_once(watched, runner):
    watched.delay_seconds = 0.2
    batching = runner(max_batch_size=100)
    fetches = names(watched, "line")
    gather(*(ask(batching, floats(n), fetches) for n in range(10)))
    assert watched.sizes == [1, 9]


def test_batches_are_padded_to_allowed_sizes(watched, runner):
    batching = runner(max_batch_size=8, allowed_batch_sizes=(2, 8))
    (answer,) = gather(ask(batching, floats(1, 2, 3), names(watched, "line")))
    assert watched.sizes == [8]
    assert answer[0].tolist() == [4, 8, 12]


def test_a_full_queue_refuses(watched, runner):
    watched.delay_seconds = 0.3
    batching = runner(max_batch_size=1, max_enqueued_batches=2)
    fetches = names(watched, "line")
    answers = gather(*(ask(batching, floats(n), fetches) for n in range(5)))
    refused = [each for each in answers if isinstance(each, StatusError)]
    assert [each.code.name for each in refused] == ["UNAVAILABLE"] * 2
    assert refused[0].message == (
        "The batch scheduling queue to which this task was submitted is full; "
        "currently 2 batches enqueued and max_enqueued_batches is 2"
    )


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        (
            floats(*range(9)),
            "Task size 9 is larger than maximum input batch size 8",
        ),
        (
            {"line_x:0": np.float32(1)},
            "Batching Run() input tensors must have at least one dimension",
        ),
        (
            {"a": np.zeros(2), "b": np.zeros(3)},
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
    ],
    ids=["too-large", "scalar", "unequal"],
)
def test_what_cannot_be_batched_is_invalid(watched, runner, feeds, message):
    batching = runner(max_batch_size=8)
    (error,) = gather(ask(batching, feeds, names(watched, "line")))
    assert error.code.name == "INVALID_ARGUMENT"
    assert message in error.message


def rows(*shape):
    return {"rows_x:0": np.ones(shape, np.float32)}


def test_different_inner_shapes_do_not_mix(watched, runner):
    batching = runner(max_batch_size=4, batch_timeout_seconds=0.2)
    fetches = names(watched, "rows")
    errors = gather(
        ask(batching, rows(1, 2), fetches), ask(batching, rows(1, 3), fetches)
    )
    assert [each.code.name for each in errors] == ["FAILED_PRECONDITION"] * 2
    assert errors[0].message == (
        "Tensors with name 'rows_x:0' from different tasks have different shapes and "
        "padding is turned off. Set pad_variable_length_inputs to true, or ensure that "
        "all tensors with the same name have equal dimensions starting with the first "
        "dim."
    )


def test_different_inner_shapes_are_padded_on_demand(watched, runner):
    batching = runner(
        max_batch_size=4, batch_timeout_seconds=0.2, pad_variable_length_inputs=True
    )
    fetches = names(watched, "rows")
    answers = gather(
        ask(batching, rows(1, 1), fetches), ask(batching, rows(1, 2), fetches)
    )
    assert [each[0].tolist() for each in answers] == [[2], [2]]


def test_a_deadline_may_pass_in_the_queue(watched, runner):
    watched.delay_seconds = 0.3
    batching = runner(max_batch_size=1)
    fetches = names(watched, "line")
    soon = time.monotonic() + 0.1
    first, late = gather(
        ask(batching, floats(1), fetches), ask(batching, floats(2), fetches, soon)
    )
    assert first[0].tolist() == [4]
    assert late.code.name == "RESOURCE_EXHAUSTED"
    assert late.message == "Run() timeout exceeded while waiting in batching queue"


def test_a_caller_that_goes_is_left_out(watched, runner):
    watched.delay_seconds = 0.3
    batching = runner(max_batch_size=1)
    fetches = names(watched, "line")
    gone = []
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask(batching, floats(1), fetches))
        time.sleep(0.1)
        second = pool.submit(
            batching.run, floats(2), fetches, Caller(when_gone=gone.append)
        )
        time.sleep(0.1)
        gone[0]()
        assert isinstance(second.exception(0.1), CancelledError)
        assert first.result()[0].tolist() == [4]
    (third,) = gather(ask(batching, floats(3), fetches))
    assert third[0].tolist() == [12]
    assert watched.sizes == [1, 1]


def test_at_the_end_what_runs_is_answered_and_what_waits_refused(watched):
    watched.delay_seconds = 0.3
    scheduler = BatchScheduler(1)
    batching = BatchingRunner(watched, scheduler, BatchingOptions(max_batch_size=1))
    fetches = names(watched, "line")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask(batching, floats(1), fetches))
        time.sleep(0.1)
        second = pool.submit(ask(batching, floats(2), fetches))
        time.sleep(0.1)
        scheduler.close()
        assert first.result(0.1)[0].tolist() == [4]
        assert second.exception().code.name == "UNAVAILABLE"
    (late,) = gather(ask(batching, floats(3), fetches))
    assert late.code.name == "UNAVAILABLE"
    assert watched.sizes == [1]


def test_an_output_without_rows_is_refused(watched, runner):
    batching = runner(max_batch_size=4)
    (error,) = gather(
        ask(batching, {"whole_x:0": np.ones(2, np.float32)}, names(watched, "whole"))
    )
    assert error.code.name == "FAILED_PRECONDITION"
    assert error.message == "Batched output tensor has 0 dimensions"


def test_a_large_request_is_split_over_batches(watched, runner):
    batching = runner(max_batch_size=9, max_execution_batch_size=4)
    fetches = names(watched, "line")
    answer, refused = gather(
        ask(batching, floats(*range(9)), fetches),
        ask(batching, floats(*range(10)), fetches),
    )
    assert answer[0].tolist() == [4 * n for n in range(9)]
    assert watched.sizes == [4, 4, 1]
    assert refused.message == "Task size 10 is larger than maximum input batch size 9"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_batch_size": 0}, "`max_batch_size` must be positive"),
        (
            {"max_batch_size": 8, "allowed_batch_sizes": (4,)},
            "must match max_batch_size",
        ),
        ({"max_batch_size": 8, "allowed_batch_sizes": (9, 8)}, "increasing"),
        ({"batch_timeout_seconds": -1}, "`batch_timeout_micros` must not be negative"),
        (
            {"max_batch_size": 8, "max_execution_batch_size": 9},
            "`max_execution_batch_size` must be from 1 to max_batch_size",
        ),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        BatchingOptions(**options)


def test_the_batching_file_reaches_the_server(run_server, tmp_path, publish, colours):
    from graft_client import PredictionClient

    publish(tmp_path / "m", 1)
    parameters = tmp_path / "batching.config"
    parameters.write_text(
        "max_batch_size { value: 4 } batch_timeout_micros { value: 1000 }\n"
        "num_batch_threads { value: 1 } allowed_batch_sizes: [2, 4]"
    )
    with run_server(
        tmp_path / "server.log",
        "--model_name=m",
        f"--model_base_path={tmp_path / 'm'}",
        "--enable_batching",
        f"--batching_parameters_file={parameters}",
    ) as server:
        with PredictionClient(server.target, name="m", batch_size=8) as client:
            # Eight at once are too many for the server: the client halves them.
            answers = client.predict([colours["blue"], colours["red"]] * 4)
    assert [each.class_name for each in answers] == ["blue", "red"] * 4
