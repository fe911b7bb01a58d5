"""TensorFlow Serving's requests, replies, errors and JSON.

what a request does    inference, example_results, servable
values and errors      tensors, status
JSON of REST           json_predict, json_examples, json_columns, json_values,
                       json_errors, json_nesting
"""
