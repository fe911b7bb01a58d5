"""Read the labels of tf.Examples, one per record, and check that they agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graft.components.ingestion.sources.labels import LabelKinds, shown, text_of_feature
from graft.contract.errors import DataError
from graft.contract.example_keys import CLASS_NAME_KEY, LABEL_KEY

_PARTNERS = {CLASS_NAME_KEY: LABEL_KEY, LABEL_KEY: CLASS_NAME_KEY}
_INTEGERS = "int64_list"


class RecordLabels:
    """Read the labels of records, one after another.

    Many writers store both the name and the index of a class. Only one of them is
    read, but the two must agree in all records.
    """

    def __init__(self, key: str) -> None:
        """Prepare to read.

        Args:
            key: Key of the label in a tf.Example.
        """
        self._key = key
        self._partner = _PARTNERS.get(key)
        self._kinds = LabelKinds()
        # Label to the partner's value and the record, and the other way round.
        self._partner_of: dict[str, tuple[object, str]] = {}
        self._label_of: dict[object, tuple[str, str]] = {}

    def read(self, features: Mapping[str, Any], where: str) -> str:
        """Return the label of a record, as text.

        Args:
            features: Key to feature; it has the key of the label.
            where: The record, for a message.

        Raises:
            DataError: The label is not a single name or index, or contradicts another
                record.
        """
        feature = features[self._key]
        try:
            text = text_of_feature(feature)
        except ValueError as error:
            raise DataError(
                f"{where}: the label {self._key!r} {error}. "
                f"Received: {shown(_values_of(feature))}."
            ) from error
        self._kinds.check(
            is_number=feature.WhichOneof("kind") == _INTEGERS, text=text, where=where
        )
        if self._partner is not None and self._partner in features:
            self._check_partner(text, features[self._partner], where)
        return text

    def _check_partner(self, text: str, feature: Any, where: str) -> None:
        values = tuple(_values_of(feature))
        if not values or values in ((-1,), (b"",), ("",)):
            return
        first, of_first = self._partner_of.setdefault(text, (values, where))
        label, of_label = self._label_of.setdefault(values, (text, where))
        if first != values:
            raise self._contradiction(text, first, of_first, text, values, where)
        # Two classes may have the same name (ImageNet has two cranes). Read by name,
        # they would become one class; read by index, they don't.
        if label != text and self._key == CLASS_NAME_KEY:
            raise self._contradiction(label, values, of_label, text, values, where)

    def _contradiction(self, *parts: Any) -> DataError:
        label, value, of_first, other_label, other_value, where = parts
        return DataError(
            f"{where}: {self._key!r} and {self._partner!r} disagree. Received: "
            f"{shown(other_label)} with {shown([*other_value])}, but {shown(label)} "
            f"with {shown([*value])} in {of_first}. Correct the records, or write only "
            "one of the two keys."
        )


def _values_of(feature: Any) -> list[Any]:
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    return [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        for value in values
    ]
