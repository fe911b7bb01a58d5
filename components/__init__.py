"""Custom TFX components, one sub-package each; none of them wires another."""
