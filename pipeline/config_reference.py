"""Write the reference of all keys of a config as Markdown, from the config's schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from graft.pipeline.config import PipelineConfig

_HEAD = """\
# Every key of a config

After this page you can find any key, what it may be and what it is by default.
`make reference` writes it from the schema that checks a config, which
`graft config schema` prints for editors. `graft config show` prints a config with all
its values, and `graft config check` names each mistake in one.

```sh
graft config check my.yaml --set gate.min_accuracy=0.9
```
"""
_BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "at least",
    "exclusiveMaximum": "below",
    "maximum": "at most",
}
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "empty",
}


def render_reference() -> str:
    """Return the page: a table of keys for the config and each of its parts."""
    schema = PipelineConfig.model_json_schema()
    parts = schema["$defs"]
    sections = [_HEAD, "## The config\n", _table(schema, parts, "")]
    for key, value in schema["properties"].items():
        if name := _part_in(value):
            sections += _sections_of(f"{key}", parts[name], parts)
    return "\n".join(sections)


def _sections_of(
    path: str, part: Mapping[str, Any], parts: Mapping[str, Any]
) -> Iterator[str]:
    yield f"## `{path}`\n"
    yield f"{_first_paragraph(part.get('description', ''))}\n"
    yield _table(part, parts, f"{path}.")
    for key, value in part["properties"].items():
        if name := _part_in(value):
            yield from _sections_of(f"{path}.{key}", parts[name], parts)
        for layer in _layers_in(value):
            yield from _sections_of(
                f"{path}.{key}: {{type: {_type_of_layer(parts[layer])}}}",
                parts[layer],
                parts,
            )


def _table(part: Mapping[str, Any], parts: Mapping[str, Any], prefix: str) -> str:
    rows = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    rows += [
        "| "
        + " | ".join(
            (
                f"`{key}`",
                _escape(_describe(value, parts)),
                _escape(_default(value, is_required=key in part.get("required", ()))),
                _escape(value.get("description", "")),
            )
        )
        + " |"
        for key, value in part["properties"].items()
    ]
    return "\n".join(rows) + "\n"


def _describe(value: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """Return what a value may be, such as "number, at least 0"."""
    if "anyOf" in value:
        # An empty value comes last, whatever the order of the types.
        options = sorted(value["anyOf"], key=lambda each: each.get("type") == "null")
        text = " or ".join(_describe(each, parts) for each in options)
    elif "oneOf" in value:
        names = [_type_of_layer(parts[name]) for name in _layers_in({"items": value})]
        text = f"layer of type {', '.join(names)}"
    elif "$ref" in value:
        text = "keys, see below"
    elif "const" in value or "enum" in value:
        allowed = value.get("enum", [value.get("const")])
        text = ", ".join(f"`{each}`" for each in allowed)
    else:
        text = _describe_type(value, parts)
    return text


def _describe_type(value: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    kind = str(value.get("type"))
    if kind == "array":
        items = value.get("items")
        return f"list: {_describe(items, parts)}" if isinstance(items, dict) else "list"
    if kind == "object":
        inner = value.get("additionalProperties")
        is_known = isinstance(inner, dict) and inner
        return (
            f"names, each with: {_describe(inner or {}, parts)}"
            if is_known
            else "names"
        )
    bounds = [f"{word} {value[key]:g}" for key, word in _BOUNDS.items() if key in value]
    return ", ".join([_TYPES.get(kind, "any value"), *bounds])


def _default(value: Mapping[str, Any], *, is_required: bool) -> str:
    if is_required:
        return "none: needed"
    default = value.get("default")
    # A part's default is the defaults of its own keys.
    if "$ref" in value or isinstance(default, dict):
        return ""
    return "empty" if default is None else f"`{json.dumps(default)}`"


def _part_in(value: Mapping[str, Any]) -> str | None:
    """Return the name of the part that a key holds, or None."""
    for option in (value, *value.get("anyOf", ())):
        if "$ref" in option:
            return str(option["$ref"]).rpartition("/")[2]
    return None


def _layers_in(value: Mapping[str, Any]) -> list[str]:
    """Return the names of the layers that a list may hold."""
    options = value.get("items", {}).get("oneOf", ())
    return [str(option["$ref"]).rpartition("/")[2] for option in options]


def _type_of_layer(layer: Mapping[str, Any]) -> str:
    return str(layer["properties"]["type"]["const"])


def _first_paragraph(text: str) -> str:
    return text.partition("\n\n")[0].replace("\n", " ")


def _escape(text: str) -> str:
    """Keep a text in its cell."""
    return text.replace("|", "\\|").replace("\n", " ")
