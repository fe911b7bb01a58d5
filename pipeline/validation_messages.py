"""Describe the mistakes in a config or a profile, one line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def describe_mistakes(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """Yield a line per mistake: the key, what is allowed, and the value received.

    Args:
        error: Error from the validation of `model`.
        model: The model, whose field names are suggested for unknown keys.
    """
    for item in error.errors():
        location = item["loc"]
        key = ".".join(str(part) for part in location)
        match item["type"]:
            case "extra_forbidden":
                yield f"`{key}` is not a known key.{_suggest_key(model, location)}"
            case "missing":
                yield f"`{key}` is missing."
            case "value_error":
                text = str(item["ctx"]["error"])
                yield f"`{key}`: {text}" if key else text
            case "string_type" if isinstance(item["input"], bool | int | float | None):
                yield (
                    f"`{key}` must be a text. Received: {item['input']!r}. YAML reads "
                    "words such as yes, no and null as other values, and digits as "
                    'numbers: write the text in quotes, such as "no" or "10".'
                )
            case "string_pattern_mismatch":
                pattern = item["ctx"]["pattern"]
                yield (
                    f"`{key}` must match {pattern}. Received: {item['input']!r}"
                    f"{_description_of(model, location)}"
                )
            case _:
                yield f"`{key}`: {item['msg']}. Received: {item['input']!r}"


def _description_of(model: type[BaseModel], location: Sequence[int | str]) -> str:
    """Return what a field says of itself, since a pattern alone explains little."""
    parent = _parent_in(model, location)
    field = None if parent is None else parent.model_fields.get(str(location[-1]))
    return "" if field is None or not field.description else f". {field.description}"


def _suggest_key(model: type[BaseModel], location: Sequence[int | str]) -> str:
    parent = _parent_in(model, location)
    if parent is None:
        return ""
    names = list(parent.model_fields)
    close = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.5)
    if close:
        return f" Did you mean `{close[0]}`?"
    return f" Keys here: {', '.join(names)}."


def _parent_in(
    model: type[BaseModel], location: Sequence[int | str]
) -> type[BaseModel] | None:
    """Return the model with the last key of a location; None if there is none."""
    for part in location[:-1]:
        # An index of a list, or a key of a mapping such as `steps`, is not a field.
        if part not in model.model_fields:
            continue
        nested = _model_in(model.model_fields[str(part)].annotation)
        if nested is None:
            return None
        model = nested
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as `X`, `X | None` or `tuple[X, ...]`."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
