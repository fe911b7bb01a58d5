"""gRPC and REST: connections, messages, limits.

gRPC    grpc_server, grpc_services, grpc_listening, arrivals, messages
REST    rest, rest_body, http_connection, request_parser
both    core, connections, compression, request_memory, metrics
"""
