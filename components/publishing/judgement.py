"""Bind a push to its verdict: what was judged, and against what."""

from __future__ import annotations

from graft.components.evaluation.baseline import Production
from graft.components.evaluation.verdict import Verdict
from graft.components.publishing.versions import GRAPH_NAME, UNREADABLE, compare_files
from graft.contract.errors import UserError
from graft.storage import files
from graft.storage.paths import parent_of


def judgement_of(verdict: Verdict | None) -> tuple[Production, dict[str, str]]:
    """Return what the gate has judged the model against, and the files that it judged.

    Raises:
        UserError: The verdict does not tell, as one of an older version.
    """
    against = Production.from_dict(None if verdict is None else verdict.judged_against)
    if verdict is None or against is None or not verdict.judged_files:
        raise UserError(
            "The gate's verdict does not tell "
            + (
                "what the model was judged against"
                if against is None
                else "which files were judged"
            )
            + ", so the model can't be pushed. Run `graft run` again: this version of "
            "graft asks the gate again. `graft bless --force --reason TEXT` pushes the "
            "model as it is."
        )
    return against, verdict.judged_files


def check_model(
    model_path: str, found: dict[str, str], judged: dict[str, str] | None
) -> None:
    """Refuse a model that is no SavedModel, or not the one that the gate judged.

    Args:
        model_path: The SavedModel, in the folder of its artifact.
        found: Relative path to hash of its files.
        judged: The same of the files that the gate judged; None: it was not asked.

    Raises:
        UserError: There is no graph, or the files differ.
    """
    different = [] if judged is None else compare_files(judged, found, "judged")
    if judged is None:
        different = [f"{k} can't be read" for k, v in found.items() if v == UNREADABLE]
    if not different and GRAPH_NAME not in found:
        different = [f"{GRAPH_NAME} is missing"]
    if not different:
        return
    artifact = parent_of(model_path)
    move = f"move {artifact!r} away and " if files.exists(artifact) else ""
    raise UserError(
        f"Nothing was pushed: the model in {model_path!r} is damaged: "
        f"{'; '.join(different)}. To train it anew, {move}run `graft run` again."
    )
