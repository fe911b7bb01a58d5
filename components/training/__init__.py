"""Trainer: TFX's component, which may start from the head in production.

component.py        the component
executor.py         finds the head in the model store, then runs TFX's executor

The training itself is in `graft.trainer`.
"""
