"""The custom artifacts of Report; Kubeflow's dashboard shows both."""

from tfx.types import artifact


class RunReport(artifact.Artifact):
    """The report of a run.

    * File structure: `{uri}` is one HTML file that needs no other file and no network.
    """

    TYPE_NAME = "graft.RunReport"
    DASHBOARD_TYPE = "system.HTML"


class ModelCard(artifact.Artifact):
    """The model card: description, measured quality and limits of a model.

    * File structure: `{uri}` is one Markdown file.
    """

    TYPE_NAME = "graft.ModelCard"
    DASHBOARD_TYPE = "system.Markdown"
