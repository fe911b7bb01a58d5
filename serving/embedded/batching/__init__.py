"""Dynamic batching: requests that arrive together run together.

options      the batching parameters of TensorFlow Serving
scheduler    queues of batches, and the threads that run them
runner       merges the requests of a batch, runs the graph, and splits the outputs
"""
