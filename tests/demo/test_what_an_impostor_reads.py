"""An impostor reads all that is said inside his TLS, however a mail program asked for it."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING

import pytest
from bothwires import mail_tap_factory
from rawpeer import raw_peer

if TYPE_CHECKING:
    from mailtap.demo.testing.factory import TapFactory

__all__ = ["mail_tap_factory"]

SECRET = "sesame-street"
SMTP = [b"AUTH PLAIN " + base64.b64encode(f"\0ali\0{SECRET}".encode()) + b"\r\n", b"QUIT\r\n"]
POP3 = [b"USER ali\r\n", f"PASS {SECRET}\r\n".encode(), b"QUIT\r\n"]
IMAP = [f"c LOGIN ali {SECRET}\r\n".encode(), b"d LOGOUT\r\n"]


@pytest.mark.parametrize(
    ("protocol", "asks", "agrees", "inside"),
    [
        pytest.param("smtp", [b"EHLO x\r\n", b"STARTTLS\r\n"], b"220 Ready", SMTP, id="smtp"),
        pytest.param("smtp", [b"EHLO x\r\nSTARTTLS\r\n"], b"220 Ready", SMTP, id="smtp, behind EHLO"),
        pytest.param("smtp", [b"EHLO x\r\nSTART", b"TLS\r\n"], b"220 Ready", SMTP, id="smtp, in pieces"),
        pytest.param("pop3", [b"STLS\r\n"], b"+OK Begin", POP3, id="pop3"),
        pytest.param("pop3", [b"ST", b"LS\r\n"], b"+OK Begin", POP3, id="pop3, in pieces"),
        pytest.param("pop3", [b"CAPA\r\nUTF8\r\nSTLS\r\n"], b"+OK Begin", POP3, id="pop3, behind others"),
        pytest.param("imap", [b"b STARTTLS\r\n"], b"b OK", IMAP, id="imap"),
        pytest.param("imap", [b"b START", b"TLS\r\n"], b"b OK", IMAP, id="imap, in pieces"),
        pytest.param(
            "imap", [b"a CAPABILITY\r\nb STARTTLS\r\n"], b"b OK", IMAP, id="imap, behind CAPABILITY"
        ),
    ],
)
def test_however_tls_was_asked_for(
    mail_tap_factory: TapFactory, protocol: str, asks: list[bytes], agrees: bytes, inside: list[bytes]
) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with mail_tap_factory(attack="bad-certificate") as tap:
        port = getattr(tap, protocol)
        with raw_peer((port.host, port.port)) as peer:
            peer.line()
            for piece in asks:
                peer.send(piece)
            peer.read_until(agrees)
            peer.line()
            peer.start_tls(trusting)
            peer.send((b"EHLO x\r\n" if protocol == "smtp" else b"") + b"".join(inside))
            peer.read_to_end()
        assert SECRET in tap
        assert [leak.value.reveal() for leak in tap.leaks("password")] == [SECRET]


def test_a_word_like_stls_starts_nothing(mail_tap_factory: TapFactory) -> None:
    with mail_tap_factory(attack="bad-certificate") as tap:
        with raw_peer((tap.pop3.host, tap.pop3.port)) as peer:
            peer.line()
            for command in (b"USER stls", f"PASS {SECRET}".encode(), b"QUIT"):
                peer.ask(command)
        assert [leak.value.reveal() for leak in tap.leaks("password")] == [SECRET]
