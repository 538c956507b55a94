"""Two real TLS peers in memory, and what they say to each other."""

from __future__ import annotations

import contextlib
import ssl

import trustme

from mailtap.capture.model import Direction

C, S = Direction.CLIENT, Direction.SERVER
NAME = "mail.example.org"
SECRET = b"USER mrose\r\nPASS tanstaaf\r\n"


def handshake(
    version: ssl.TLSVersion, *, name: str | None = NAME, client: str = ""
) -> list[tuple[Direction, bytes]]:
    """Return what two real TLS peers say, a login inside; with a name, the client shows a certificate."""
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, "alias.example.org", common_name="cn.example.org").configure_cert(
        server_context
    )
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client_context)
    if client:
        authority.configure_trust(server_context)
        server_context.verify_mode = ssl.CERT_REQUIRED
        authority.issue_cert(f"{client}@example.org", common_name=client).configure_cert(client_context)
    client_context.check_hostname = name is not None
    client_context.minimum_version = client_context.maximum_version = version
    pipes = {C: ssl.MemoryBIO(), S: ssl.MemoryBIO()}
    visitor = client_context.wrap_bio(pipes[S], pipes[C], server_hostname=name)
    server = server_context.wrap_bio(pipes[C], pipes[S], server_side=True)
    turns: list[tuple[Direction, bytes]] = []

    def move() -> None:
        for who, pipe in pipes.items():
            if pipe.pending:
                data = pipe.read()
                turns.append((who, data))
                pipe.write(data)

    steps = [visitor.do_handshake, server.do_handshake] * 3
    steps += [lambda: visitor.write(SECRET), lambda: server.read(100), lambda: server.write(b"+OK\r\n")]
    for step in steps:
        with contextlib.suppress(ssl.SSLWantReadError):
            step()
        move()
    return turns
