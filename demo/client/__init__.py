"""The mail programs of the lesson, looked up by the protocol of the service that they connect to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtap.demo.client import http, imap, pop3, smtp
from mailtap.demo.client.settings import ClientFailed, Letter, Settings
from mailtap.servers import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FETCHING", "LOOKING_IN", "SENDING", "ClientFailed", "Letter", "Settings"]

# Each raises ClientFailed where it cannot do its work.
SENDING: Mapping[ServerProtocol, Callable[[Settings, Letter], None]] = {
    ServerProtocol.SMTP: smtp.send,
}
FETCHING: Mapping[ServerProtocol, Callable[[Settings], bytes]] = {
    ServerProtocol.HTTP: http.fetch,
    ServerProtocol.POP3: pop3.fetch,
    ServerProtocol.IMAP: imap.fetch,
}
LOOKING_IN: Mapping[ServerProtocol, Callable[[Settings], None]] = {
    ServerProtocol.POP3: pop3.look_in,
    ServerProtocol.IMAP: imap.look_in,
}
