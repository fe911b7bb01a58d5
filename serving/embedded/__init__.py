"""A server that answers as TensorFlow Serving does.

contract     requests, replies, errors and JSON, as TensorFlow Serving defines them
loading      versions of models: found, loaded, batched, warmed up, unloaded
transport    gRPC, REST and metrics
"""
