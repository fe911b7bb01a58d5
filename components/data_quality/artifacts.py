"""The custom artifact of DataQuality."""

from tfx.types import artifact


class DataQualityReport(artifact.Artifact):
    """What was found in the data.

    * File structure:
       - `{uri}/quality.json`: `num_images`; `dropped`, content hashes; `checks`, each
         with `name`, `title`, `policy`, `num_findings`, `filenames` and the first
         `findings` with pictures.
    """

    TYPE_NAME = "components.DataQualityReport"
