"""Read what an option whose path is a table of labels would read."""

from __future__ import annotations

from graft.components.ingestion.folders.option_readings import Outcome
from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.layout import detect_format
from graft.components.ingestion.sources.layout_answers import Option
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.components.ingestion.tables import manifests
from graft.contract.errors import DataError
from graft.storage.paths import expand_home

_MOST_OF_REASON = 200


def read_option(option: Option, config: DataConfig) -> Outcome:
    """Return what a table reads, or why it would stop; None if the path is no table.

    Args:
        option: An option of a question.
        config: The config, whose `path` is the data set's folder.
    """
    settings = dict(option.settings)
    below = str(settings.pop("path", ""))
    path = f"{config.path.rstrip('/')}/{below}"
    try:
        given = config.model_copy(update={**settings, "path": path})
        layout = detect_format(given)
        if layout not in ("csv", "jsonl"):
            return None
        found = manifests.list_images(expand_home(path), layout, given)
    except DataError as error:
        return _shortened(str(error))
    chosen = given.class_names
    return {
        ref.path: (
            ref.class_name,
            (role_of(ref.splits[0]) if len(ref.splits) == 1 else None) or TRAIN_ROLE,
        )
        for ref in found.refs
        if not chosen or ref.class_name in chosen
    }


def _shortened(reason: str) -> str:
    first = reason.splitlines()[0]
    return f"{first[:_MOST_OF_REASON]}..." if len(first) > _MOST_OF_REASON else first
