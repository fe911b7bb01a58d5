"""Anomalies become sentences; errors can be told from warnings."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from graft.components.validation.anomalies import describe_anomalies

ERROR, WARNING = anomalies_pb2.AnomalyInfo.ERROR, anomalies_pb2.AnomalyInfo.WARNING


def _write(folder: Path, split: str, found: anomalies_pb2.Anomalies) -> None:
    (folder / f"Split-{split}").mkdir()
    path = folder / f"Split-{split}" / "SchemaDiff.pb"
    path.write_bytes(found.SerializeToString())


def _info(severity: int, text: str) -> anomalies_pb2.AnomalyInfo:
    return anomalies_pb2.AnomalyInfo(
        severity=severity, short_description=text, description=f"More of {text}."
    )


def test_each_anomaly_is_a_sentence_that_begins_with_its_split(tmp_path: Path) -> None:
    train, test = anomalies_pb2.Anomalies(), anomalies_pb2.Anomalies()
    train.anomaly_info["b"].CopyFrom(_info(ERROR, "new value"))
    train.anomaly_info["a"].CopyFrom(_info(WARNING, "drift"))
    test.dataset_anomaly_info.CopyFrom(_info(ERROR, "too few"))
    _write(tmp_path, "test", test)
    _write(tmp_path, "train", train)
    assert describe_anomalies(str(tmp_path)) == [
        "train: a: drift. More of drift.",
        "train: b: new value. More of new value.",
        "test: too few. More of too few.",
    ]
    assert describe_anomalies(str(tmp_path), errors_only=True) == [
        "train: b: new value. More of new value.",
        "test: too few. More of too few.",
    ]


def test_missing_anomalies_are_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        describe_anomalies(str(tmp_path))
    (tmp_path / "Split-train").mkdir()
    with pytest.raises(FileNotFoundError):
        describe_anomalies(str(tmp_path))
