"""The exported SavedModel and its signatures.

saved_model.py  signatures, assets and warm-up requests
unknown.py      the probability below which a model answers `unknown`

Names of signatures are in `graft.contract.signature_names`; serving is in
`graft.serving`.
"""
