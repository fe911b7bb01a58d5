"""One module per command of the `graft` command line; heavy imports stay inside."""
