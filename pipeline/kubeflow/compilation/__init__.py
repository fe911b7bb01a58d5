"""Compile a config and a profile to a file for Kubeflow.

compiler.py            compile for Kubeflow or Vertex AI
post_processing.py     complete what TFX's compiler writes
container_spec.py      image, arguments and resources of a container
task_policies.py       caching and retries of a step
kubernetes_config.py   pools, volumes and secrets of a step
runtime_parameters.py  parameters that a run can set
refusals.py            what is refused at compile time
kubernetes_values.py   quantities, labels and environments
profile.py             deployment profiles
profile_file.py        read a profile
pipeline_file.py       read a compiled file
pipeline_spec.py       tasks, constants and types of a compiled pipeline
"""
