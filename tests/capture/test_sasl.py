"""SASL mechanisms, over each protocol that carries them."""

from __future__ import annotations

import base64
import struct

import hearing
import pytest

from mailtap.capture.events import LoginCancelled, LoginSeen, Malformed
from mailtap.capture.model import Direction, Leak, Note

C, S = Direction.CLIENT, Direction.SERVER
OPENINGS = {
    "pop3": ([(S, b"+OK\r\n")], b"AUTH ", b"+ %s\r\n", b"+OK\r\n", b"-ERR\r\n"),
    "smtp": (
        [(S, b"220 x\r\n"), (C, b"EHLO x\r\n"), (S, b"250 x\r\n")],
        b"AUTH ",
        b"334 %s\r\n",
        b"235 x\r\n",
        b"535 x\r\n",
    ),
    "imap": ([(S, b"* OK\r\n")], b"a AUTHENTICATE ", b"+ %s\r\n", b"a OK\r\n", b"a NO\r\n"),
}
everywhere = pytest.mark.parametrize("protocol", OPENINGS)


def exchange(
    protocol: str, mechanism: bytes, texts: list[bytes], *, initial: bool, accepted: bool | None = True
) -> list[hearing.Turn]:
    """Return an exchange: the client's and the server's texts in turn, the client first."""
    opening, verb, challenge, yes, no = OPENINGS[protocol]
    turns: list[hearing.Turn] = list(opening)
    client, server = texts[::2], texts[1::2]
    first = b" " + (base64.b64encode(client[0]) or b"=") if initial else b""
    turns.append((C, verb + mechanism + first + b"\r\n"))
    server = server if initial else [b"", *server]
    for ask, say in zip(server, client[1:] if initial else client, strict=False):
        turns.append((S, challenge % base64.b64encode(ask)))
        turns.append((C, base64.b64encode(say) + b"\r\n"))
    if accepted is not None:
        turns.append((S, yes if accepted else no))
    return turns


def login(turns: list[hearing.Turn]) -> LoginSeen:
    (event,) = hearing.listen(turns)
    assert isinstance(event, LoginSeen)
    return event


def ntlm_message(domain: str, user: str, *, wide: bool) -> bytes:
    """Return an AUTHENTICATE message (MS-NLMP, section 2.2.1.3) with the fields that matter."""
    texts = [text.encode("utf-16-le" if wide else "ascii") for text in (domain, user)]
    at, fields = 64, b""
    for text in texts:
        fields += struct.pack("<HHI", len(text), len(text), at)
        at += len(text)
    lm_and_nt = struct.pack("<HHI", 0, 0, at) * 2
    return (
        b"NTLMSSP\0\3\0\0\0"
        + lm_and_nt
        + fields
        + struct.pack("<HHI", 0, 0, at) * 2
        + struct.pack("<I", wide)
        + b"".join(texts)
    )


NTLM_ASK = b"NTLMSSP\0\2\0\0\0" + bytes(12) + b"12345678"
SCRAM_FIRST = b"n,a=boss,n=us=2Cer=3D,r=abc"
SCRAM_ASK = b"r=abcdef,s=QSXCR+Q6sek8bf92,i=4096"
SCRAM_FINAL = b"c=biws,r=abcdef,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
DIGEST_ASK = b'realm="x",nonce="abc",qop="auth"'
DIGEST = b'username="a\\"b",realm="x",nonce="abc",response=d388dad90d4bbd760a152321f2143af7,authzid="boss"'

CASES = pytest.mark.parametrize(
    ("mechanism", "texts", "expected"),
    [
        pytest.param(b"PLAIN", [b"\0tim\0pass word"], {"username": b"tim", "password": b"pass word"}, id="plain"),
        pytest.param(b"plain", [b"boss\0tim\0"], {"username": b"tim", "password": b"", "authzid": b"boss"}, id="plain-authzid"),
        pytest.param(b"LOGIN", [b"tim", b"Password:", b"secret"], {"username": b"tim", "password": b"secret"}, id="login"),
        pytest.param(b"XOAUTH2", [b"user=a@b\x01auth=Bearer tok.en==\x01\x01"], {"username": b"a@b", "token": b"tok.en=="}, id="xoauth2"),
        pytest.param(b"OAUTHBEARER", [b"n,a=a@b,\x01host=x\x01auth=Bearer tok\x01\x01"], {"username": b"a@b", "token": b"tok"}, id="oauthbearer"),
        pytest.param(b"OAUTHBEARER", [b"n,,\x01auth=Bearer tok\x01\x01"], {"token": b"tok"}, id="oauthbearer-without-user"),
        pytest.param(b"SCRAM-SHA-256", [SCRAM_FIRST, SCRAM_ASK, SCRAM_FINAL], {"username": b"us,er=", "authzid": b"boss", "digest": SCRAM_FINAL, "challenge": SCRAM_ASK}, id="scram"),
        pytest.param(b"SCRAM-SHA-1-PLUS", [b"p=tls-unique,,n=u,r=a", SCRAM_ASK, SCRAM_FINAL], {"username": b"u", "digest": SCRAM_FINAL, "challenge": SCRAM_ASK}, id="scram-plus"),
        pytest.param(b"SCRAM-SHA-1", [b"n,,n=u,r=a"], {"username": b"u"}, id="scram-refused-early"),
        pytest.param(b"NTLM", [b"NTLMSSP\0\1\0\0\0", NTLM_ASK, ntlm_message("DOM", "tim", wide=True)], {"username": b"tim", "domain": b"DOM", "digest": base64.b64encode(ntlm_message("DOM", "tim", wide=True)), "challenge": base64.b64encode(NTLM_ASK)}, id="ntlm"),
        pytest.param(b"NTLM", [b"NTLMSSP\0\1\0\0\0", NTLM_ASK, ntlm_message("D", "u", wide=False)], {"username": b"u", "domain": b"D", "digest": base64.b64encode(ntlm_message("D", "u", wide=False)), "challenge": base64.b64encode(NTLM_ASK)}, id="ntlm-ascii"),
        pytest.param(b"EXTERNAL", [b"fred"], {"username": b"fred"}, id="external"),
        pytest.param(b"EXTERNAL", [b""], {}, id="external-without-name"),
        pytest.param(b"ANONYMOUS", [b"guest@example.org"], {"username": b"guest@example.org"}, id="anonymous"),
        pytest.param(b"GSSAPI", [b"\x60\x01\x02"], {}, id="gssapi"),
    ],
)  # fmt: skip
FIELDS = ("username", "password", "token", "digest", "challenge", "authzid", "domain")


@everywhere
@CASES
@pytest.mark.parametrize("initial", [True, False], ids=["initial", "asked"])
@pytest.mark.parametrize("accepted", [True, False, None], ids=["accepted", "refused", "unanswered"])
def test_mechanisms(
    protocol: str,
    mechanism: bytes,
    texts: list[bytes],
    expected: dict[str, bytes],
    *,
    initial: bool,
    accepted: bool | None,
) -> None:
    turns = exchange(protocol, mechanism, texts, initial=initial, accepted=accepted)
    event = login(turns)
    assert {name: heard.data for name in FIELDS if (heard := getattr(event, name))} == expected
    assert event.mechanism == mechanism.decode().upper()
    assert event.accepted is accepted
    blobs = {base64.b64encode(text) or b"=" for text in texts}
    for heard in (getattr(event, name) for name in FIELDS):
        assert heard is None or hearing.cut(turns, heard.spans) in blobs


@everywhere
def test_challenge_and_response(protocol: str) -> None:
    opening, verb, challenge, yes, _ = OPENINGS[protocol]
    asks = {b"CRAM-MD5": b"<1.2@x>", b"DIGEST-MD5": DIGEST_ASK}
    answers = {b"CRAM-MD5": b"tim a b913a602c7eda7a495b4e6e7334d3890", b"DIGEST-MD5": DIGEST}
    users = {b"CRAM-MD5": b"tim a", b"DIGEST-MD5": b'a"b'}
    for mechanism, ask in asks.items():
        turns: list[hearing.Turn] = [
            *opening,
            (C, verb + mechanism + b"\r\n"),
            (S, challenge % base64.b64encode(ask)),
        ]
        turns += [(C, base64.b64encode(answers[mechanism]) + b"\r\n"), (S, yes)]
        event = login(turns)
        assert event.username is not None
        assert event.challenge is not None
        assert event.digest is not None
        assert event.username.data == users[mechanism]
        assert event.challenge.data == ask
        assert answers[mechanism].endswith(event.digest.data)


@everywhere
def test_a_cancelled_exchange_is_a_note(protocol: str) -> None:
    opening, verb, challenge, _, no = OPENINGS[protocol]
    turns = [
        *opening,
        (C, verb + b"LOGIN\r\n"),
        (S, challenge % b""),
        (C, b"dGlt\r\n"),
        (S, challenge % b""),
        (C, b"*\r\n"),
        (S, no),
    ]
    events = hearing.listen(turns)
    assert [type(each) for each in events] == [LoginCancelled]
    assert [str(each) for each in hearing.read(events)] == ["A LOGIN login was cancelled."]


@everywhere
@pytest.mark.parametrize(
    "text",
    [b"!!!!", base64.b64encode(b"no separators"), base64.b64encode(b"\0too\0many\0")],
    ids=["no-base64", "no-plain", "too-many-parts"],
)
def test_a_misshapen_response_is_no_login(protocol: str, text: bytes) -> None:
    opening, verb, _, _, no = OPENINGS[protocol]
    events = hearing.listen([*opening, (C, verb + b"PLAIN " + text + b"\r\n"), (S, no)])
    assert [type(each) for each in events] == [Malformed]


def test_a_mechanism_that_cannot_be_read_is_a_note() -> None:
    found = hearing.read(hearing.listen(exchange("smtp", b"GSSAPI", [b"\x60"], initial=True)))
    assert [str(each) for each in found if isinstance(each, Note)] == [
        "A login by GSSAPI, which this listener cannot read."
    ]
    assert not [each for each in found if isinstance(each, Leak)]


def test_leaks_carry_identity_and_verdict() -> None:
    found = hearing.read(hearing.listen(exchange("imap", b"PLAIN", [b"boss\0tim\0x"], initial=True)))
    for leak in found:
        assert isinstance(leak, Leak)
        assert (leak.username, leak.authzid, leak.accepted, leak.mechanism) == ("tim", "boss", True, "PLAIN")
        assert "Secret(********)" in repr(leak)


@everywhere
def test_what_the_server_says_at_the_end_of_digest_md5_is_no_challenge(protocol: str) -> None:
    """RFC 2831, section 2.1.3: a response of the server's own; the challenge is in a hole."""
    turns = exchange(protocol, b"DIGEST-MD5", [DIGEST, b"rspauth=ea40", b""], initial=False)
    turns[turns.index((C, base64.b64encode(DIGEST) + b"\r\n")) - 1] = (S, 10)
    event = login(turns)
    assert event.digest is not None
    assert (event.challenge, event.accepted) == (None, True)
