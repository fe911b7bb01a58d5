"""A server that answers as TensorFlow Serving does.

contract     requests, replies, errors and JSON, as TensorFlow Serving defines them
loading      versions of models: find, load, warm up, serve and unload them
batching     requests that arrive together run together
flags        the syntax of the command line
options      the flags themselves
transport    gRPC, REST and metrics
server       puts these together; `logs` and `allocation` set up its process

Each imports only those above it. `protos` has the messages of the configuration files.
"""
