"""The canary: a candidate must serve, in a fresh process, before it may be pushed."""
