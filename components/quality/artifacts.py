"""The custom artifact of DataQuality."""

from tfx.types import artifact

RESULT_FILE = "quality.json"
PROFILE_FILE = "profile.json"


class DataQualityReport(artifact.Artifact):
    """What was found in the data.

    * File structure:
       - `{uri}/quality.json`: `num_images`; `dropped`, content hashes; `checks`, each
         with `name`, `title`, `policy`, `num_findings`, `filenames` and the first
         `findings` with pictures.
       - `{uri}/profile.json`: what the images look like as a whole, in counts; see
         `profile.Profile`.
    """

    TYPE_NAME = "graft.DataQualityReport"
