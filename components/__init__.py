"""The TFX components, one package each; none of them wires another.

A package may import those below it:

    report > canary > publishing > evaluation > quality > features > validation
    > ingestion

`pipeline/pipeline.py` connects them. Training code lives in `trainer`.
"""
