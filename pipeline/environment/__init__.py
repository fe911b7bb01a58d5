"""The Python environment that graft runs in: what a host needs, and `make setup`.

Standard library only, and every file here parses on Python 3.8: this is the code that
runs before anything is installed, and that has to say why a host can't work.
"""
