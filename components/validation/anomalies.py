"""Read what ExampleValidator found, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from tensorflow_metadata.proto.v0 import anomalies_pb2

from graft.contract.split_names import SPLITS
from graft.storage import files
from graft.storage.paths import join


def describe_anomalies(uri: str, *, errors_only: bool = False) -> list[str]:
    """Return a sentence for each anomaly, beginning with its split.

    Args:
        uri: Folder of the `ExampleAnomalies`.
        errors_only: Leave out those that are no errors.

    Raises:
        FileNotFoundError: ExampleValidator has written nothing there.
    """
    folders = {split: join(uri, f"Split-{split}") for split in SPLITS}
    found = {split: path for split, path in folders.items() if files.is_folder(path)}
    if not found:
        raise FileNotFoundError(f"There are no anomalies in {uri!r}.")
    return [
        f"{split}: {sentence}"
        for split, path in found.items()
        for sentence in _sentences(_read(path), errors_only)
    ]


def _read(folder: str) -> anomalies_pb2.Anomalies:
    content = files.read_bytes(join(folder, "SchemaDiff.pb"))
    return anomalies_pb2.Anomalies.FromString(content)


def _sentences(found: anomalies_pb2.Anomalies, errors_only: bool) -> Iterator[str]:
    named = [(f"{name}: ", info) for name, info in sorted(found.anomaly_info.items())]
    if found.HasField("dataset_anomaly_info"):
        named.append(("", found.dataset_anomaly_info))
    for start, info in named:
        if not errors_only or info.severity == anomalies_pb2.AnomalyInfo.ERROR:
            yield f"{start}{info.short_description}. {info.description}".strip()
