"""From whom the SMTP server takes mail, and for whom it passes mail on: nobody whom it does not know."""

from __future__ import annotations

import poplib
import smtplib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from toylab import HANAKO, LETTER, TARO

from mailtap.servers import Limits, NotForwarded, Security, ServerProtocol, Service, ToyServers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SMTP = Service(protocol=ServerProtocol.SMTP, security=Security.PLAIN, mechanisms=("PLAIN",))
POP3 = Service(protocol=ServerProtocol.POP3, security=Security.PLAIN)
STRANGER = "somebody@elsewhere.example"
AT_TARO = TARO.addresses[0]


class Post:
    """The next server, as the first one sees it."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.got: list[tuple[str, list[str], bytes]] = []

    def forward(self, sender: str, recipients: Sequence[str], content: bytes) -> None:
        if not self.takes:
            raise NotForwarded("it is away")
        self.got.append((sender, list(recipients), content))


@contextmanager
def client(service: Service, **options: object) -> Iterator[tuple[smtplib.SMTP, ToyServers]]:
    with ToyServers([service, POP3], accounts=[HANAKO, TARO], **options) as servers:
        host, port = servers.endpoints[service]
        smtp = smtplib.SMTP(host, port, local_hostname="pc.example", timeout=10)
        try:
            yield smtp, servers
        finally:
            smtp.close()


def log_in(smtp: smtplib.SMTP) -> None:
    smtp.login(HANAKO.username, HANAKO.password)


def nothing(_smtp: smtplib.SMTP) -> None:
    pass


def send(smtp: smtplib.SMTP, *recipients: str) -> None:
    smtp.sendmail(HANAKO.addresses[0], recipients, LETTER)


def test_who_has_logged_in_may_send_to_another_server() -> None:
    post = Post()
    with client(SMTP, forward=post.forward) as (smtp, servers):
        log_in(smtp)
        send(smtp, STRANGER, AT_TARO)
        (kept,) = servers.mailboxes[TARO.username].messages
    assert post.got == [(HANAKO.addresses[0], [STRANGER], LETTER)]
    assert kept.content == LETTER


@pytest.mark.parametrize(
    ("prepare", "forwards"),
    [
        pytest.param(nothing, True, id="who has not logged in"),
        pytest.param(log_in, False, id="a server that passes nothing on"),
        pytest.param(nothing, False, id="neither"),
    ],
)
def test_is_no_open_relay(prepare: Callable[[smtplib.SMTP], None], forwards: bool) -> None:
    post = Post()
    with client(SMTP, forward=post.forward if forwards else None) as (smtp, _):
        prepare(smtp)
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="relays no mail"):
            send(smtp, STRANGER)
    assert post.got == []


def test_what_the_next_server_does_not_take_is_refused_and_not_half_delivered() -> None:
    with client(SMTP, forward=Post(takes=False).forward) as (smtp, servers):
        log_in(smtp)
        with pytest.raises(smtplib.SMTPDataError, match="next server"):
            send(smtp, STRANGER, AT_TARO)
        assert servers.mailboxes[TARO.username].messages == ()


def test_what_does_not_fit_here_is_not_passed_on_either() -> None:
    post = Post()
    with client(SMTP, forward=post.forward, limits=Limits(mailbox_messages=0)) as (smtp, _):
        log_in(smtp)
        with pytest.raises(smtplib.SMTPDataError, match="Mailbox full"):
            send(smtp, STRANGER, AT_TARO)
    assert post.got == []


def test_port_25_refuses_clients() -> None:
    with (
        client(replace(SMTP, clients_refused=True)) as (smtp, _),
        pytest.raises(smtplib.SMTPSenderRefused, match="587"),
    ):
        send(smtp, AT_TARO)


def test_takes_mail_after_a_login_by_pop3_and_not_before() -> None:
    with client(replace(SMTP, mechanisms=(), login_before=True)) as (smtp, servers):
        with pytest.raises(smtplib.SMTPSenderRefused, match="POP3 first"):
            send(smtp, AT_TARO)
        pop3 = poplib.POP3(*servers.endpoints[POP3], timeout=10)
        pop3.user(HANAKO.username)
        with pytest.raises(poplib.error_proto):
            pop3.pass_("wrong")
        with pytest.raises(smtplib.SMTPSenderRefused, match="POP3 first"):
            send(smtp, AT_TARO)
        pop3.user(HANAKO.username)
        pop3.pass_(HANAKO.password)
        pop3.quit()
        send(smtp, AT_TARO)
        assert len(servers.mailboxes[TARO.username].messages) == 1


def test_a_server_says_its_name() -> None:
    named = replace(SMTP, host="mx.lab.example")
    with client(named) as (smtp, servers):
        assert smtp.ehlo()[1].startswith(b"mx.lab.example")
        pop3 = poplib.POP3(*servers.endpoints[POP3], timeout=10)
        assert pop3.getwelcome().startswith(b"+OK mail.lab.example")
        pop3.quit()
