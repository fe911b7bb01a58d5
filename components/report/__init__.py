"""The report: one page per run with its results, and a model card.

contents.py            read the contents of the page from artifacts
charts.py, timings.py  charts as SVG
grad_cam.py            heat maps: which part of an image decides the answer
page.py, templates/    HTML and Markdown
component.py, executor.py, artifacts.py   the TFX component and its outputs

It reads artifacts and writes only its own two files.
"""
