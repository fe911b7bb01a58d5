"""The report: one page per run that shows what came of it and why, and a model card."""
