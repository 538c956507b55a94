"""A program that enters the lab, lets a client log in to a server there, and reports what was heard.

    python labprogram.py [RUNG]
    python labprogram.py --interrupt EVENT N    interrupts itself at the Nth event of that name
                                                (the audit events of the Python library reference)

    python labprogram.py --nothing              only imports what it needs

It prints one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from mailtap.capture.model import Leak
from mailtap.capture.pipeline import listen
from mailtap.demo.lab import Rung, choose, enter

GREETING, LOGIN, WELCOME = b"+OK lab\r\n", b"USER mrose\r\nPASS tanstaaf\r\n", b"+OK\r\n+OK logged in\r\n"


def interrupt_at(wanted: str, occurrence: int) -> None:
    """Send this process SIGINT, as Ctrl-C does, when it has done something that many times."""
    left = [occurrence]
    me = os.getpid()

    def hook(event: str, _arguments: object) -> None:
        if event == wanted and os.getpid() == me:
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGINT)

    sys.addaudithook(hook)


def serve(listener: socket.socket) -> None:
    """Be a server for one login."""
    connection, _ = listener.accept()
    with connection:
        connection.sendall(GREETING)
        received = b""
        while piece := connection.recv(4096):
            received += piece
            if received == LOGIN:
                connection.sendall(WELCOME)


def talk(endpoint: tuple[str, int]) -> bytes:
    """Be the client; return everything the server said."""
    heard = b""
    with socket.create_connection(endpoint, timeout=10) as client:
        heard += client.recv(len(GREETING), socket.MSG_WAITALL)
        client.sendall(LOGIN)
        client.shutdown(socket.SHUT_WR)
        while piece := client.recv(4096):
            heard += piece
    return heard


def whisper() -> None:
    """Be somebody else, whose words on this machine are none of the lab's business."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as server,
    ):
        client.sendall(b"a stranger's secret")
        server.recv(100)


def main(arguments: list[str]) -> None:
    """Do it."""
    if arguments == ["--nothing"]:
        return
    if arguments[:1] == ["--interrupt"]:
        interrupt_at(arguments[1], int(arguments[2]))
        arguments = arguments[3:]
    lab = enter(choose(Rung(arguments[0]) if arguments else None).rung)
    # On the host's own loopback any port will do: others may hold the telling one.
    port = lab.port_for(110) if lab.real_ports else 0
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        with lab.tap({"pop3": listener.getsockname()}) as tap:
            whisper()
            said = talk(tap.endpoints["pop3"])
            server.join(10)
            recording = tap.finish()
    leaks = [item for item in listen(recording.packets) if isinstance(item, Leak)]
    report = {
        "rung": lab.rung,
        "real_ports": lab.real_ports,
        "stayed_root": lab.stayed_root,
        "notes": lab.notes,
        "uid": os.getuid(),
        "said": said.decode(),
        "leaks": [[leak.field, leak.value.reveal()] for leak in leaks],
        "overheard": any(b"a stranger's secret" in packet.data for packet in recording.packets),
        "dropped": recording.dropped,
        "complete": recording.complete,
        "packets": len(recording.packets),
        "network": str(Path("/proc/self/ns/net").readlink()),
        "outside_uid": int(Path("/proc/self/uid_map").read_text().split()[1]) + os.getuid(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1:])
