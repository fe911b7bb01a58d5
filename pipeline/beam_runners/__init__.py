"""Where Beam jobs run: in the step itself, on a Flink cluster or on Dataflow."""
