"""The custom artifacts of Report; Kubeflow's dashboard shows both."""

from tfx.types import artifact


class RunReport(artifact.Artifact):
    """A report for people.

    * File structure: `{uri}` is one HTML file that needs no other file and no network.
    """

    TYPE_NAME = "graft.RunReport"
    DASHBOARD_TYPE = "system.HTML"


class ModelCard(artifact.Artifact):
    """What a model is, what it was measured to do, and what it should not be used for.

    * File structure: `{uri}` is one Markdown file.
    """

    TYPE_NAME = "graft.ModelCard"
    DASHBOARD_TYPE = "system.Markdown"
