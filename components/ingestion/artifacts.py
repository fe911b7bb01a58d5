"""The custom artifact of ImageExampleGen."""

from tfx.types import artifact

QUARANTINE_FILE = "quarantine.jsonl"
DUPLICATES_FILE = "duplicates.jsonl"
SUMMARY_FILE = "summary.json"


class ImageQuarantine(artifact.Artifact):
    """The images that are not in the examples, with the reasons, and all counts.

    * File structure:
       - `{uri}/`
          - `quarantine.jsonl`: one line per unreadable image: `filename`, `class_name`,
            `reason`, `bytes` (size; null where unknown).
          - `duplicates.jsonl`: one line per image that exists more than once: `kind`
            ("duplicate", "leak" or "label_conflict"), `content_hash`, `labels`, `kept`
            and `dropped` (file names).
          - `summary.json`: see `summary.Summary`.

    Kubeflow's TFX container needs an importable type name with one dot.
    """

    TYPE_NAME = "graft.ImageQuarantine"
