"""What runs inside each container of a compiled pipeline."""
