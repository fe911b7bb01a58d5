"""Runs on this machine: the runner, the live display, and what a finished run says."""
