"""A server that answers as TensorFlow Serving does.

contract     requests, replies, errors and JSON, as TensorFlow Serving defines them
loading      versions of models: find, load, warm up, serve and unload them
batching     requests that arrive together run together
options      the command-line flags
transport    gRPC, REST and metrics
server       puts these together

Each imports only those above it. `protos` has the messages of the configuration files.
"""
