"""From a config and a profile to the file that Kubeflow takes."""
