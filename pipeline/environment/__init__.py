"""Build the Python environment (`make setup`), and check what it needs of a host.

This code runs before anything is installed, and explains why a host can't be used. So
it uses the standard library only, and every file parses on Python 3.8.
"""
