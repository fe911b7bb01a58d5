"""The exported SavedModel and its signatures.

saved_model.py  signatures, assets and warm-up requests
unknown.py      the threshold of the label `unknown`

Names of signatures are in `graft.contract.signature_names`. Serving is in
`graft.serving`.
"""
