"""Run one step of a compiled pipeline inside its container.

entrypoint.py      the command of each container
executor_input.py  convert Kubeflow's input and output of a step
step_execution.py  run a TFX executor
lean_imports.py    import the parts of TFX that one step needs
dashboard.py       metrics for Kubeflow's dashboard
"""
