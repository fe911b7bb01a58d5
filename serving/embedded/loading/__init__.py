"""Versions of models: found, loaded, batched, warmed up, unloaded."""
