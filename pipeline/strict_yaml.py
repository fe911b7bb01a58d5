"""Read YAML that a user wrote: no value is lost, and no file takes long.

PyYAML keeps the last of two equal keys. Aliases can stand for billions of values,
nested lists can exceed Python's stack, and a number may be too long or a date may not
exist, which ends in other errors than `yaml.YAMLError`. PyYAML reads YAML 1.1, where
`017` is 15 and `1:30` is 90.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.error import Mark, MarkedYAMLError

MAX_BYTES = 100_000
_MAX_DEPTH = 50
_MAX_DIGITS = 66  # `0b` and 64 bits


def read_file(path: Path) -> Any:
    """Return the value in a file.

    Raises:
        OSError: The file can't be read.
        UnicodeDecodeError: It isn't UTF-8.
        yaml.YAMLError: It isn't YAML, or not within the limits of this module.
    """
    # A device, or a file that grows, is not read for ever.
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise yaml.YAMLError(f"it is larger than {MAX_BYTES:,} bytes")
    return parse(content.decode("utf-8"))


def parse(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        yaml.YAMLError: It isn't YAML, or not within the limits of this module.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a subclass of the safe loader


def parse_generated(text: str) -> list[Any]:
    """Return the values of all documents of a file that a program wrote.

    Raises:
        yaml.YAMLError: It isn't YAML, or not within the limits of this module.
    """
    return list(yaml.load_all(text, _LargeLoader))


class _Loader(yaml.SafeLoader):
    max_values = 10_000
    refuses_old_numbers = True

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = 0
        self._num_values = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise MarkedYAMLError(
                    problem="an alias within itself", problem_mark=mark
                )
            self._num_values += self._sizes[id(node)]
        else:
            before = self._num_values
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise MarkedYAMLError(
                    problem=f"values are nested more than {_MAX_DEPTH} deep",
                    problem_mark=mark,
                )
            node = super().compose_node(parent, index)
            if isinstance(node, yaml.MappingNode):
                _check_keys(node)
            self._depth -= 1
            self._num_values += 1
            self._sizes[id(node)] = self._num_values - before
        if self._num_values > self.max_values:
            raise MarkedYAMLError(
                problem=f"there are more than {self.max_values:,} values",
                problem_mark=mark,
            )
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            # A date that does not exist, or a number that is too long.
            raise MarkedYAMLError(
                problem=f"no such value: {error}", problem_mark=node.start_mark
            ) from error

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if self.refuses_old_numbers:
            _check_number(node)
        return int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        if self.refuses_old_numbers:
            _check_number(node)
        return float(super().construct_yaml_float(node))


for _tag, _construct in (
    ("int", _Loader.construct_yaml_int),
    ("float", _Loader.construct_yaml_float),
):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)


class _LargeLoader(_Loader):
    max_values = 1_000_000
    refuses_old_numbers = False


def _check_number(node: yaml.ScalarNode) -> None:
    """Refuse a number that YAML 1.1, which PyYAML reads, and YAML 1.2 read differently.

    Another base has no limit of digits in Python, so that a huge number would pass.
    """
    text = node.value.lstrip("+-")
    problem = None
    if ":" in text:
        problem = "YAML 1.1 reads it as a number to the base 60"
    elif len(text) > 1 and text[0] == "0" and text.replace("_", "").isdecimal():
        problem = "YAML 1.1 reads it as octal, YAML 1.2 as decimal"
    elif text[:2].lower() in ("0x", "0b") and len(text) > _MAX_DIGITS:
        problem = f"it has more than {_MAX_DIGITS - 2} digits"
    if problem is not None:
        raise MarkedYAMLError(
            problem=f"the number {node.value[:20]!r} is not clear: {problem}. Write a "
            "decimal number without leading zeros, or quote a text",
            problem_mark=node.start_mark,
        )


def _check_keys(node: yaml.MappingNode) -> None:
    """Check that no key is there twice; merged mappings (`<<`) come later."""
    first: dict[tuple[str, str], Mark] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        mark = first.setdefault((key.tag, key.value), key.start_mark)
        if mark is not key.start_mark:
            raise MarkedYAMLError(
                context=f"the key {key.value!r} is there",
                context_mark=mark,
                problem="and again",
                problem_mark=key.start_mark,
            )
