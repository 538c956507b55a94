"""The POP3 transport stops answering while its client does not read, and reading before a handshake."""

from __future__ import annotations

import asyncio

from toylab import PASSWORD_ONLY, TARO

from mailtap.servers.accounts import Accounts
from mailtap.servers.limits import Limits
from mailtap.servers.mailbox import Mailboxes
from mailtap.servers.pop3 import Pop3Session
from mailtap.servers.session_transport import SessionTransport


class SlowTransport(asyncio.Transport):
    """A transport whose client has read nothing: full after the first few replies."""

    def __init__(self, protocol, room):
        super().__init__()
        self.protocol = protocol
        self.room = room
        self.written = []
        self.reading = True

    def write(self, data):
        self.written.append(data)
        if len(self.written) == self.room:
            self.protocol.pause_writing()

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


def begin(security, room, context=None):
    """Return a protocol that has just greeted its client, and its transport."""
    accounts = Accounts([TARO])
    limits = Limits()
    session = Pop3Session(
        PASSWORD_ONLY[security],
        accounts=accounts,
        mailboxes=Mailboxes(accounts, limits),
        limits=limits,
        nonce=lambda: "1",
    )
    protocol = SessionTransport(session, context=context, limits=limits)
    transport = SlowTransport(protocol, room)
    protocol.connection_made(transport)
    return protocol, transport


async def read_late():
    protocol, transport = begin("plain", room=3)
    protocol.data_received(b"CAPA\r\n" * 10)
    assert (len(transport.written), transport.reading) == (3, False)
    protocol.resume_writing()
    assert (len(transport.written), transport.reading) == (11, True)
    protocol.connection_lost(None)
    assert protocol.ended.is_set()


def test_replies_wait_for_the_client_to_read():
    asyncio.run(read_late())


async def ask_for_tls(context):
    protocol, transport = begin("starttls", room=100, context=context)
    protocol.data_received(b"STLS\r\n")
    assert transport.written[-1].startswith(b"+OK")
    assert not transport.reading
    protocol.connection_lost(None)


def test_nothing_is_read_between_stls_and_the_handshake(certificates):
    asyncio.run(ask_for_tls(certificates.server_context()))
