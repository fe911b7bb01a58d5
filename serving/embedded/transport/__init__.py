"""gRPC, REST and metrics over one core."""
