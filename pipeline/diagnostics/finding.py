"""The result of one check of `graft doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "note", "missing"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of a check.

    Attributes:
        name: What was checked.
        state: `fine`; `note`, if graft works but not at its best; `missing`, if a run
            needs it.
        found: What was found.
        remedy: What to do; empty if it is fine.
    """

    name: str
    state: State
    found: str
    remedy: str = ""
