"""Prints what mail clients send in a capture, read with pyshark."""

from __future__ import annotations

import asyncio
import sys

import pyshark

_LOGINS = "pop.request || smtp.req || smtp.auth.username || smtp.auth.password || imap.isrequest"


def main() -> None:
    """Read the file that the command line names."""
    loop = asyncio.new_event_loop()
    capture = pyshark.FileCapture(sys.argv[1], display_filter=_LOGINS, eventloop=loop)
    for packet in capture:
        for layer in packet.layers:
            if layer.layer_name in ("pop", "smtp", "imap"):
                print(*(layer.get_field(name) for name in layer.field_names))
    capture.close()


if __name__ == "__main__":
    main()
