"""The custom artifact of DataQuality."""

from tfx.types import artifact

RESULT_FILE = "quality.json"
PROFILE_FILE = "profile.json"
DOUBTFUL_FILE = "doubtful_labels.jsonl"


class DataQualityReport(artifact.Artifact):
    """The findings of the data checks.

    * File structure:
       - `{uri}/quality.json`: `num_images`; `dropped`, content hashes; `checks`, each
         with `name`, `title`, `policy`, `num_findings`, `not_searched` (what was left
         out, to its number), the first 1,000 `filenames` and the first 12 `findings`
         with pictures.
       - `{uri}/doubtful_labels.jsonl`: one line per image that `label_errors` found,
         most doubtful first: `content_hash`, `filename`, `label`, `suggestion` (the
         class that cross-validation finds likeliest) and `confidence` (its
         probability). Absent if the check is off.
       - `{uri}/profile.json`: distributions of image properties, in counts; see
         `profile.Profile`.
    """

    TYPE_NAME = "graft.DataQualityReport"
