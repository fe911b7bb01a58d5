"""TFX's Trainer with the executor that finds the head in production."""

from __future__ import annotations

from typing import ClassVar

from tfx.components.trainer import component
from tfx.dsl.components.base import executor_spec

from graft.components.training.executor import Executor


class Trainer(component.Trainer):
    """Train by `graft.trainer.run_fn`.

    Its inputs, outputs and execution properties are those of TFX's Trainer. What is in
    production is no input of it: TFX's cache would train again after each push and each
    rollback, though the data are the same.
    """

    EXECUTOR_SPEC: ClassVar = executor_spec.ExecutorClassSpec(Executor)
