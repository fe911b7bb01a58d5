"""Kubeflow's backend, emulated on this machine: driver, launcher and stores."""
