"""The preparation of a SavedModel: its thread, and the number of rewrites."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
import weakref

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving")
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.lib.io import tf_record
from tensorflow_serving.apis import prediction_log_pb2

from graft.serving.embedded.batching.options import BatchingOptions
from graft.serving.embedded.contract import inference
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.loading import warmup
from graft.serving.embedded.loading.saved_model import SavedModel
from graft.serving.embedded.loading.servable import DirectRunner, LoadedServable
from graft.serving.embedded.options import Options
from graft.serving.embedded.server import EmbeddedServer


@pytest.mark.parametrize("on_this_thread", [True, False])
def test_a_first_run_takes_its_time_on_the_thread_that_is_asked_for(
    model_versions, on_this_thread
):
    model = SavedModel(model_versions[0])
    signature = model.signatures["classify"]
    feeds = {signature.inputs["inputs"].name: np.empty(0, object)}
    fetches = [signature.outputs["scores"].name]
    here, everywhere = time.thread_time(), time.process_time()
    model.run(feeds, fetches, on_this_thread=on_this_thread)
    here, everywhere = time.thread_time() - here, time.process_time() - everywhere
    model.close()
    if on_this_thread:
        assert here > 0.7 * everywhere
    else:
        assert here < 0.5 * everywhere


def test_each_function_is_rewritten_once_and_not_by_mlir(model_versions):
    model = SavedModel(model_versions[0])
    graph = model._graph.as_graph_def()
    model.close()
    functions = [function.node_def for function in graph.library.function]
    calls = [
        node
        for nodes in [graph.node, *functions]
        for node in nodes
        if node.op in ("PartitionedCall", "StatefulPartitionedCall")
    ]
    assert calls
    for node in calls:
        config = config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)
        rewrites = config.graph_options.rewrite_options
        assert (
            rewrites.meta_optimizer_iterations == rewriter_config_pb2.RewriterConfig.ONE
        )
        assert rewrites.disable_tfg_optimizer


@pytest.mark.parametrize(
    ("settings", "asked_on"),
    [
        ({}, ("MainThread", False)),
        ({"batching": BatchingOptions()}, ("batch", False)),
        (
            {"batching": BatchingOptions(), "intra_op_parallelism": 1},
            ("batch", True),
        ),
    ],
    ids=["direct", "batched", "batched-one-core"],
)
def test_on_which_thread_warm_up_and_requests_compute(
    warmed_up, monkeypatch, settings, asked_on
):
    base_path, (request,) = warmed_up(["line"])
    runs = []
    run = SavedModel.run

    def watched(self, *arguments, on_this_thread=False):
        pool, _, _ = threading.current_thread().name.partition("_")
        runs.append((pool, on_this_thread))
        return run(self, *arguments, on_this_thread=on_this_thread)

    monkeypatch.setattr(SavedModel, "run", watched)

    async def serve_once():
        options = Options(port=0, model_name="m", model_base_path=base_path, **settings)
        server = EmbeddedServer(options)
        await server.start()
        try:
            with server.manager.hold(request.model_spec) as servable:
                inference.predict(servable, request)
        finally:
            await server.stop()

    asyncio.run(serve_once())
    assert runs == [("warm-up", True), asked_on]


def test_signatures_are_warmed_up_at_the_same_time(warmed_up, monkeypatch):
    base_path, _ = warmed_up(["line", "line", "whole"])
    both = threading.Barrier(2)
    order = []
    predict = inference.predict

    def watched(servable, request):
        name = request.model_spec.signature_name
        if name not in order:
            both.wait(60)
        order.append(name)
        predict(servable, request)

    monkeypatch.setattr(inference, "predict", watched)
    start_and_stop(base_path)
    assert sorted(order) == ["line", "line", "whole"]


@pytest.mark.parametrize("bad", [0, 1])
def test_a_failed_warm_up_waits_for_the_others(warmed_up, monkeypatch, bad):
    """The version is closed then, which must not happen under a running graph."""
    names = ["line", "line"]
    names[bad] = "none"
    base_path, _ = warmed_up(names)
    events = []
    predict, close = inference.predict, LoadedServable.close

    def watched(servable, request):
        if request.model_spec.signature_name == "line":
            time.sleep(0.3)
        predict(servable, request)
        events.append("answered")

    def closed(self):
        events.append("closed")
        close(self)

    monkeypatch.setattr(inference, "predict", watched)
    monkeypatch.setattr(LoadedServable, "close", closed)
    with pytest.raises(StatusError, match=f"Warm-up request {bad + 1} of "):
        start_and_stop(base_path, max_num_load_retries=0)
    assert events == ["answered", "closed"]


def start_and_stop(base_path, **settings):
    async def run():
        options = Options(port=0, model_name="m", model_base_path=base_path, **settings)
        server = EmbeddedServer(options)
        try:
            await server.start()
        finally:
            await server.stop()

    asyncio.run(run())


@pytest.fixture
def warmed_up(model_versions, tmp_path):
    """Makes a model with a warm-up request for each signature that is named."""

    def make(signatures):
        base_path = tmp_path / "m"
        shutil.copytree(model_versions[0], base_path / "1")
        file = base_path / "1" / warmup.WARMUP_FILE
        file.parent.mkdir()
        requests = []
        with tf_record.TFRecordWriter(str(file)) as writer:
            for name in signatures:
                log = prediction_log_pb2.PredictionLog()
                text_format.Parse(
                    f'model_spec {{ name: "m" signature_name: "{name}" }} inputs {{ '
                    'key: "x" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } } '
                    "float_val: 1 } }",
                    log.predict_log.request,
                )
                writer.write(log.SerializeToString())
                requests.append(log.predict_log.request)
        return base_path, requests

    return make


def test_a_version_that_is_freed_leaves_no_graph_behind(model_versions):
    model = SavedModel(model_versions[0])
    graph = weakref.ref(model._graph)
    LoadedServable("m", 1, model, DirectRunner(model)).close()
    assert graph() is None
