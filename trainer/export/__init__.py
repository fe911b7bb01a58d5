"""The exported SavedModel and its signatures.

saved_model.py  signatures, assets and warm-up requests
linear_head.py  what a later training needs to start from the head
unknown.py      the threshold of the label `unknown`

Names of signatures are in `graft.contract.signature_names`. Serving is in
`graft.serving`.
"""
