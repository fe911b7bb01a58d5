"""The canary: serve a candidate in a new process before it may be pushed.

server_process.py   start and stop the server
early_start.py      start it while earlier nodes run
trial.py            send real images and bad requests over gRPC
result.py           the result of the trial, as JSON
component.py, executor.py, config.py   the TFX component and its config

`evaluation` decides what a model must reach on `test`.
"""
