"""The schema that a user wrote: copied, checked, and noticed when it changes."""

from __future__ import annotations

import pytest
import tensorflow_data_validation as tfdv
from tfx.types import standard_artifacts

from graft.components.validation.curated_schema import CuratedSchema, schema_fingerprint
from graft.contract.errors import DataError

SCHEMA = 'feature { name: "image/class/text" type: BYTES }\n'


def _run(path, folder) -> standard_artifacts.Schema:
    schema = standard_artifacts.Schema()
    schema.uri = str(folder)
    CuratedSchema.EXECUTOR_SPEC.executor_class().Do(
        {}, {"schema": [schema]}, {"path": str(path)}
    )
    return schema


def test_the_schema_is_copied_to_where_tfx_reads_it(tmp_path):
    path = tmp_path / "my schema.pbtxt"
    path.write_text(SCHEMA)
    schema = _run(path, tmp_path / "artifact")
    read = tfdv.load_schema_text(f"{schema.uri}/schema.pbtxt")
    assert [feature.name for feature in read.feature] == ["image/class/text"]


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "must name an existing file"), ("feature {", "text format.*schema.pbtxt")],
    ids=["missing", "broken"],
)
def test_what_is_no_schema_is_refused(tmp_path, text, message):
    path = tmp_path / "schema.pbtxt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        _run(path, tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()


def test_a_changed_schema_has_another_fingerprint(tmp_path):
    path = tmp_path / "schema.pbtxt"
    assert schema_fingerprint(str(path)) == ""
    path.write_text(SCHEMA)
    first = schema_fingerprint(str(path))
    path.write_text(SCHEMA.replace("BYTES", "INT"))
    assert len(first) == 64
    assert schema_fingerprint(str(path)) not in ("", first)
