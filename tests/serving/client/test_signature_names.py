"""The client's names of the exported model are those of graft's contract."""

from __future__ import annotations

from graft.contract import example_keys
from graft.contract import signature_names as contract_names
from graft_client import signature_names


def test_each_name_is_the_contracts():
    ours = {
        name: value for name, value in vars(signature_names).items() if name.isupper()
    }
    theirs = {**vars(contract_names), **vars(example_keys)}
    assert len(ours) >= 9
    assert ours == {name: theirs.get(name) for name in ours}
