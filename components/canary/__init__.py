"""The canary: a candidate must serve, in a fresh process, before it may be pushed.

server_process.py   the server of the trial, in a process of its own
trial.py            real images and bad requests over gRPC
result.py           what the trial came to, as the blessing holds it
component.py, executor.py, config.py   the TFX component and its config

What a model must reach on `test` is decided in `evaluation`.
"""
