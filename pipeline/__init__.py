"""The wiring of graft: its config, the DAG, the runners and the command line.

config.py      the config of a run
pipeline.py    every node, wired in one place
local          runs on this machine
kubeflow       runs on Kubeflow Pipelines and Vertex AI
commands       one module per command of `graft`
diagnostics    the checks of `graft doctor`
environment    `make setup` and the lock files; needs nothing installed
"""
