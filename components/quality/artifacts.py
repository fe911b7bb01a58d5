"""The custom artifact of DataQuality."""

from tfx.types import artifact

RESULT_FILE = "quality.json"
PROFILE_FILE = "profile.json"


class DataQualityReport(artifact.Artifact):
    """The findings of the data checks.

    * File structure:
       - `{uri}/quality.json`: `num_images`; `dropped`, content hashes; `checks`, each
         with `name`, `title`, `policy`, `num_findings`, `not_searched` (what was left
         out, to its number), the first 1,000 `filenames` and the first 12 `findings`
         with pictures.
       - `{uri}/profile.json`: distributions of image properties, in counts; see
         `profile.Profile`.
    """

    TYPE_NAME = "graft.DataQualityReport"
