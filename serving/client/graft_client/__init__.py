"""Client of graft's image classifiers in TensorFlow Serving.

    from graft_client import PredictionClient

    with PredictionClient("localhost:8500", name="flowers") as client:
        for prediction in client.predict([path.read_bytes() for path in paths]):
            print(prediction.class_name, prediction.score)

client, async_client   the clients, blocking and for asyncio
prediction, errors     what they return and raise
wire                   requests and replies, without any network
signature_names        names of the exported model
protos                 messages of TensorFlow Serving's API

It imports the standard library, grpcio and protobuf only: no graft, no TensorFlow.
"""

from graft_client.async_client import AsyncPredictionClient
from graft_client.client import PredictionClient
from graft_client.errors import CallError, PredictionError, ServingError
from graft_client.prediction import Prediction

__all__ = [
    "AsyncPredictionClient",
    "CallError",
    "Prediction",
    "PredictionClient",
    "PredictionError",
    "ServingError",
]
