"""The report: one page per run that shows what came of it and why, and a model card.

contents.py            what the page says, read from artifacts
charts.py, timings.py  charts as SVG
grad_cam.py            what in an image an answer rests on
page.py, templates/    HTML and Markdown
component.py, executor.py, artifacts.py   the TFX component and its outputs

It reads artifacts and writes its own two files, nothing else.
"""
