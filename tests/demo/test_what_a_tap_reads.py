"""A secret is found wherever a mail program would show it, or a protocol would carry it."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from email.policy import SMTP

import pytest
import wire

from mailtap.capture.model import Endpoint
from mailtap.demo.testing.follower import Follower

PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\nk0Pl2wTq8\n-----END PRIVATE KEY-----"
LINK = "https://x.test/?uid=5&token=abc123456"
PAGE = '<p>Dear Tim O&#x27;Neil, <a href="https://x.test/?uid=5&amp;token=abc123456">here</a>: <b>12</b>345678</p>'


def mail(**fields: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = fields.pop("sender", "a@x.test")
    message["To"] = fields.pop("to", "b@x.test")
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def plain(text: str, **options: str) -> EmailMessage:
    message = mail()
    message.set_content(text, **options)
    return message


def with_page(page: str, *, alone: bool = False, charset: str = "utf-8", cte: str = "8bit") -> EmailMessage:
    if alone:
        message = mail()
        message.set_content(page, subtype="html", charset=charset, cte=cte)
    else:
        message = plain("See the other part.")
        message.add_alternative(page, subtype="html", charset=charset, cte=cte)
    return message


def with_file(text: str, cte: str) -> EmailMessage:
    message = plain("See the file.")
    message.add_attachment(text, filename="key.pem", cte=cte)
    return message


FOLDED = (
    b"From: a@x.test\r\nTo: correct horse battery\r\n staple number nine <b@x.test>\r\n"
    b"X-Note: correct horse\r\n battery staple\r\n\r\nhello\r\n"
)
SECRETS = [
    pytest.param(with_page(PAGE), "Tim O'Neil", id="entity in the other part"),
    pytest.param(with_page(PAGE), LINK, id="link in the other part"),
    pytest.param(with_page(PAGE, alone=True), LINK, id="link in a page"),
    pytest.param(with_page(PAGE, cte="base64"), "12345678", id="markup within"),
    pytest.param(with_page("<p>Käse-Geheimnis</p>", charset="cp1252", cte="quoted-printable"), "Käse-Geheimnis", id="cp1252"),
    pytest.param(with_page("<p>пароль-секрет</p>", charset="koi8-r", cte="base64"), "пароль-секрет", id="koi8-r"),
    pytest.param(with_file(PEM, "7bit"), PEM, id="several lines in a file"),
    pytest.param(with_file(PEM, "base64"), PEM, id="several lines in a file, base64"),
    pytest.param(with_page(f"<pre>{PEM}</pre>"), PEM, id="several lines in the other part"),
    pytest.param(plain(PEM), PEM, id="several lines in the body"),
    pytest.param(plain("This is the passphrase: correct horse\nbattery staple, keep it."), "correct horse battery staple", id="broken at a space"),
    pytest.param(FOLDED, "correct horse battery staple", id="folded header"),
    pytest.param(FOLDED, "battery staple number nine", id="folded name"),
    pytest.param(mail(to="秘密の部署にいる山田太郎さんという長い名前の持ち主 <b@x.test>"), "秘密の部署にいる山田太郎さんという長い名前の持ち主", id="long name"),
    pytest.param(mail(X_Token="geheim-пароль-очень-длинный-заголовок-который-не-помещается"), "пароль-очень-длинный-заголовок-который-не-помещается", id="other header"),
    pytest.param(plain("Basic " + base64.b64encode(b"taro:hunter2-secret").decode(), cte="base64"), "hunter2-secret", id="base64 within base64"),
    pytest.param(plain("https://x.test/?email=taro.yamada%40corp.example", cte="base64"), "taro.yamada@corp.example", id="percent signs within base64"),
    pytest.param(plain('{"name": "K\\u00e4se-Geheimnis"}'), "Käse-Geheimnis", id="JSON"),
    pytest.param(plain("Ka\u0308se-Geheimnis"), "Käse-Geheimnis", id="decomposed"),
    pytest.param(plain("Käse-Geheimnis"), "Ka\u0308se-Geheimnis", id="composed"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "secret"), SECRETS)
def test_a_secret_in_a_mail_is_found(message: EmailMessage | bytes, secret: str) -> None:
    content = message if isinstance(message, bytes) else message.as_bytes()
    talk = [
        ("S", b"220 x ESMTP\r\n"),
        ("C", b"EHLO a\r\n"),
        ("S", b"250 x\r\n"),
        ("C", b"MAIL FROM:<a@x.test>\r\n"),
        ("S", b"250 ok\r\n"),
        ("C", b"RCPT TO:<b@x.test>\r\n"),
        ("S", b"250 ok\r\n"),
        ("C", b"DATA\r\n"),
        ("S", b"354 go on\r\n"),
        ("C", content.rstrip(b"\r\n") + b"\r\n.\r\n"),
        ("S", b"250 ok\r\n"),
    ]
    hearing = Follower().look(wire.conversation(talk, server=Endpoint("192.0.2.1", 25)))
    assert hearing.has(secret)
    assert hearing.sightings(secret)
    assert not hearing.has(secret[::-1])


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        pytest.param(b'a SEARCH SUBJECT "pass\\"word1"\r\n', 'pass"word1', id="quoted string"),
        pytest.param(b'a CREATE "back\\\\slash9"\r\n', "back\\slash9", id="backslash"),
        pytest.param("a LOGIN u caf€12\r\n".encode("cp1252"), "caf€12", id="windows-1252"),
        pytest.param("a LOGIN u 秘密\r\n".encode(), "秘密", id="two characters of six bytes"),
        pytest.param(b"a X 00deadbeef00\r\n", b"\xde\xad\xbe\xef", id="hexadecimal"),
    ],
)
def test_a_secret_in_a_command_is_found(said: bytes, secret: str | bytes) -> None:
    talk = [("S", b"* OK IMAP4rev1\r\n"), ("C", said), ("S", b"a OK\r\n")]
    hearing = Follower().look(wire.conversation(talk, server=Endpoint("192.0.2.1", 143)))
    assert hearing.has(secret)


def test_of_a_very_long_secret_the_beginning_is_enough() -> None:
    secret = "".join(chr(97 + number * 7 % 26) for number in range(40_000))
    hearing = Follower().look(wire.conversation([("C", secret.encode())]))
    assert hearing.has(secret)
    assert not hearing.has("b" + secret)


def test_white_space_is_no_secret() -> None:
    look = Follower().look(wire.conversation([("S", b"220 x\r\n"), ("C", b"EHLO abc\r\n")]))
    assert not look.has("   a   ")
