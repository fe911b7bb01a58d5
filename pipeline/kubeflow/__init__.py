"""Kubeflow Pipelines v2: compile the pipeline, run its steps, submit and schedule it.

Compiling: `profile` (where steps run), `compiler` (config, profile to a file),
`post_processing` (its pure part), `refusals`, `runtime_parameters`,
`kubernetes_config`, `nested_json`.

In a container: `entrypoint`, `executor_input` (the launcher's JSON), `step_execution`
(TFX's executor).

On this machine: `emulated_backend`, `emulated_driver`, `emulated_launcher`,
`emulated_store`.

On a cluster: `pipeline_file`, `api`, `submission`, `schedules`, `cron`, `cronjob`.
"""
