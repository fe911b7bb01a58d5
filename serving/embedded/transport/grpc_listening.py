"""The addresses and the TLS of the gRPC server."""

from __future__ import annotations

from typing import Any

import grpc

from graft.serving.embedded.contract.status import invalid
from graft.serving.embedded.options import Options


def listen(server: Any, options: Options) -> None:
    """Let a gRPC server listen on the port and the Unix socket of the options.

    Raises:
        StatusError: INVALID_ARGUMENT, if the port is taken or the TLS texts are wrong.
    """
    addresses = []
    if options.port:
        addresses.append(f"{options.host}:{options.port}")
    if options.grpc_socket_path:
        addresses.append(f"unix:{options.grpc_socket_path}")
    try:
        for address in addresses:
            if options.ssl is not None:
                server.add_secure_port(address, _credentials(options.ssl))
            else:
                server.add_insecure_port(address)
    except (RuntimeError, ValueError) as error:
        raise invalid(f"gRPC can't listen on {addresses}: {error}") from error


def _credentials(ssl: Any) -> Any:
    return grpc.ssl_server_credentials(
        [(ssl.server_key.encode(), ssl.server_cert.encode())],
        root_certificates=ssl.custom_ca.encode() or None,
        require_client_auth=ssl.client_verify,
    )
