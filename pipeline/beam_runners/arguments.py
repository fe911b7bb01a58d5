"""Beam's arguments for the runner that a config names."""

from __future__ import annotations

from graft.pipeline.beam_runners.config import BeamConfig, DataflowConfig, FlinkConfig

_NO_LIMIT_SECONDS = 10**7
"""After this time Beam leaves a job server, and takes the job for failed."""


def beam_arguments(config: BeamConfig) -> list[str]:
    """Return the arguments; none for the local runner."""
    match config.runner:
        case "flink":
            return _flink(config.flink)
        case "dataflow":
            return _dataflow(config.dataflow)
        case _:
            return []


def _flink(config: FlinkConfig) -> list[str]:
    if config.job_server:
        submission = [
            "--runner=PortableRunner",
            f"--job_endpoint={config.job_server}",
            f"--job_server_timeout={_NO_LIMIT_SECONDS}",
        ]
    else:
        submission = [
            "--runner=FlinkRunner",
            f"--flink_master={config.master}",
            "--flink_submit_uber_jar",
            f"--flink_job_server_jar={config.job_server_jar}",
        ]
    return [
        *submission,
        "--environment_type=EXTERNAL",
        f"--environment_config={config.worker_pool}",
        # Workers of a pool ignore it. For TFX it says that they have what they need:
        # otherwise TFX stages its own source, which each worker would install by pip.
        "--sdk_container_image=graft",
        f"--parallelism={config.parallelism}",
    ]


def _dataflow(config: DataflowConfig) -> list[str]:
    arguments = [
        "--runner=DataflowRunner",
        f"--project={config.project}",
        f"--region={config.region}",
        f"--temp_location={config.temp_location}",
        f"--sdk_container_image={config.image}",
        # The image holds all packages. Dataflow would compare and install them again.
        "--sdk_location=container",
        f"--max_num_workers={config.max_workers}",
    ]
    optional = {
        "worker_machine_type": config.machine_type,
        "disk_size_gb": config.disk_gb,
        "service_account_email": config.service_account,
        "subnetwork": config.subnetwork,
    }
    arguments += [f"--{key}={value}" for key, value in optional.items() if value]
    if not config.public_addresses:
        arguments.append("--no_use_public_ips")
    if config.gpu:
        gpu = f"type:{config.gpu};count:{config.gpu_count};install-nvidia-driver"
        arguments.append(f"--dataflow_service_options=worker_accelerator={gpu}")
    return arguments
