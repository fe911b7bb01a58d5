"""Beam understands the arguments, and TFX stages nothing beside them."""

from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from tfx.utils import dependency_utils

from graft.pipeline.beam_runners.arguments import beam_arguments
from graft.pipeline.beam_runners.config import BeamConfig, DataflowConfig, FlinkConfig
from graft.pipeline.config import load_config

JAR = BeamConfig(
    runner="flink",
    flink=FlinkConfig(master="flink:8081", job_server_jar="/x.jar", parallelism=3),
)
SERVER = BeamConfig(
    runner="flink", flink=FlinkConfig(master="flink:8081", job_server="beam:8099")
)
DATAFLOW = BeamConfig(
    runner="dataflow",
    dataflow=DataflowConfig(
        project="my-project",
        region="europe-west4",
        temp_location="gs://bucket/tmp",
        image="registry.example.org/graft:1",
        gpu="nvidia-l4",
        machine_type="g2-standard-4",
        public_addresses=False,
    ),
)


def options(config: BeamConfig) -> dict[str, object]:
    found: dict[str, object] = PipelineOptions(beam_arguments(config)).get_all_options(
        drop_default=True, retain_unknown_options=True
    )
    return found


def test_local_runner_needs_none() -> None:
    assert beam_arguments(BeamConfig()) == []


def test_arguments_of_the_config_come_last() -> None:
    config = load_config(None, data="x", overrides=["beam_args=[--parallelism=9]"])
    config = config.model_copy(update={"beam": JAR})
    assert PipelineOptions(config.all_beam_args).get_all_options()["parallelism"] == 9


def test_flink_gets_the_job_as_one_file() -> None:
    found = options(JAR)
    assert found["runner"] == "FlinkRunner"
    assert found["flink_master"] == "flink:8081"
    assert found["flink_submit_uber_jar"] is True
    assert found["flink_job_server_jar"] == "/x.jar"
    assert found["environment_type"] == "EXTERNAL"
    assert found["environment_config"] == "localhost:50000"
    assert found["parallelism"] == 3


def test_job_server_is_not_left_during_a_long_job() -> None:
    """By default Beam takes a job of more than five minutes for failed."""
    found = options(SERVER)
    assert found["runner"] == "PortableRunner"
    assert found["job_endpoint"] == "beam:8099"
    assert int(str(found["job_server_timeout"])) > 30 * 24 * 3600


def test_dataflow_gets_its_options() -> None:
    found = options(DATAFLOW)
    assert found["sdk_container_image"] == "registry.example.org/graft:1"
    assert found["sdk_location"] == "container"
    assert found["machine_type"] == "g2-standard-4"
    assert found["use_public_ips"] is False
    assert found["dataflow_service_options"] == [
        "worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"
    ]


@pytest.mark.parametrize("config", [JAR, SERVER, DATAFLOW], ids=["jar", "job", "df"])
def test_tfx_stages_no_package(config: BeamConfig) -> None:
    """TFX would build a package of itself, which each worker installs by pip."""
    given = beam_arguments(config)
    assert dependency_utils.make_beam_dependency_flags(given) == given
