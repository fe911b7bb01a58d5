"""Wiring: the config, the DAG, the runners and the command line of graft."""
