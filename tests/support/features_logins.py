"""Logins: each mechanism over each protocol, with and without an initial response."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from feature import Feature, spoken

TOPIC = "Logins"


@dataclass(frozen=True)
class Speech:
    """How a protocol opens, and how it carries SASL."""

    name: str
    port: int
    source: str
    opening: str
    ask: str
    challenge: str
    accepted: str
    refused: str


POP3 = Speech("POP3", 110, "RFC 5034, 4", "S: +OK ready\n", "AUTH ", "+ ", "+OK in", "-ERR no")
SMTP = Speech(
    "SMTP", 25, "RFC 4954, 4", "S: 220 mx\nC: EHLO me\nS: 250 mx\n", "AUTH ", "334 ", "235 in", "535 no"
)
IMAP = Speech(
    "IMAP", 143, "RFC 9051, 6.2.2; RFC 4959", "S: * OK ready\n", "a AUTHENTICATE ", "+ ", "a OK in", "a NO no"
)
SPEECHES = (POP3, SMTP, IMAP)


@dataclass(frozen=True)
class Mechanism:
    """A SASL mechanism: what the client and the server say in turn, the client first, and what it leaks."""

    name: str
    source: str
    texts: tuple[bytes, ...]
    leaks: tuple[str, ...]
    client_first: bool = True


def _ntlm() -> bytes:
    domain, user = "LAB".encode("utf-16-le"), "tim".encode("utf-16-le")
    at = 64
    fields = b"".join(
        len(text).to_bytes(2, "little") * 2 + place.to_bytes(4, "little")
        for text, place in ((domain, at), (user, at + len(domain)))
    )
    return b"NTLMSSP\0\3\0\0\0" + bytes(16) + fields + bytes(16) + b"\1\0\0\0" + domain + user


CRAM_ASK = b"<1896.697170952@postoffice.reston.mci.net>"
DIGEST_ASK = b'realm="lab",nonce="OA6MG9tEQGm2hh",qop="auth"'
DIGEST = b'username="tim",realm="lab",nonce="OA6MG9tEQGm2hh",response=d388dad90d4bbd760a152321f2143af7'
SCRAM_ASK = b"r=abcdef,s=QSXCR+Q6sek8bf92,i=4096"
SCRAM = b"c=biws,r=abcdef,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
NTLM_ASK = b"NTLMSSP\0\2\0\0\0" + bytes(12) + b"12345678"


def _login(mechanism: str, user: str, *rest: str) -> tuple[str, ...]:
    return (f"username '{user}' mechanism={mechanism}", *rest)


def _secret(mechanism: str, field: str, value: str, extra: str = "") -> str:
    return f"{field} {value!r} mechanism={mechanism} username=tim{extra}"


MECHANISMS = (
    Mechanism(
        "PLAIN",
        "RFC 4616",
        (b"\0tim\0tan staaf",),
        _login("PLAIN", "tim", _secret("PLAIN", "password", "tan staaf")),
    ),
    Mechanism(
        "LOGIN",
        "draft-murchison-sasl-login",
        (b"tim", b"Password:", b"tan staaf"),
        _login("LOGIN", "tim", _secret("LOGIN", "password", "tan staaf")),
    ),
    Mechanism(
        "CRAM-MD5",
        "RFC 2195",
        (CRAM_ASK, b"tim b913a602c7eda7a495b4e6e7334d3890"),
        _login(
            "CRAM-MD5",
            "tim",
            _secret(
                "CRAM-MD5", "digest", "b913a602c7eda7a495b4e6e7334d3890", f" challenge={CRAM_ASK.decode()}"
            ),
        ),
        client_first=False,
    ),
    Mechanism(
        "DIGEST-MD5",
        "RFC 2831, 2.1",
        (DIGEST_ASK, DIGEST, b"rspauth=ea40f60335c427b5527b84dbabcdfffd", b""),
        _login(
            "DIGEST-MD5",
            "tim",
            _secret("DIGEST-MD5", "digest", DIGEST.decode(), f" challenge={DIGEST_ASK.decode()}"),
        ),
        client_first=False,
    ),
    *(
        Mechanism(
            name,
            source,
            (b"n,,n=tim,r=abc", SCRAM_ASK, SCRAM),
            _login(name, "tim", _secret(name, "digest", SCRAM.decode(), f" challenge={SCRAM_ASK.decode()}")),
        )
        for name, source in (("SCRAM-SHA-1", "RFC 5802, 5"), ("SCRAM-SHA-256", "RFC 7677"))
    ),
    Mechanism(
        "XOAUTH2",
        "Google's XOAUTH2",
        (b"user=tim\x01auth=Bearer ya29.vF9==\x01\x01",),
        _login("XOAUTH2", "tim", _secret("XOAUTH2", "token", "ya29.vF9==")),
    ),
    Mechanism(
        "OAUTHBEARER",
        "RFC 7628, 3.1",
        (b"n,a=tim,\x01host=lab\x01port=143\x01auth=Bearer vF9d==\x01\x01",),
        _login("OAUTHBEARER", "tim", _secret("OAUTHBEARER", "token", "vF9d==")),
    ),
    Mechanism(
        "NTLM",
        "MS-NLMP, 2.2.1",
        (b"NTLMSSP\0\1\0\0\0", NTLM_ASK, _ntlm()),
        (
            "username 'tim' mechanism=NTLM domain=LAB",
            _secret(
                "NTLM",
                "digest",
                b64encode(_ntlm()).decode(),
                f" domain=LAB challenge={b64encode(NTLM_ASK).decode()}",
            ),
        ),
    ),
    Mechanism("EXTERNAL", "RFC 4422, A", (b"tim",), _login("EXTERNAL", "tim")),
    Mechanism("ANONYMOUS", "RFC 4505", (b"tim",), _login("ANONYMOUS", "tim")),
)

VERDICTS = {"accepted": " accepted", "refused": " refused", "unknown": ""}


def exchange(speech: Speech, mechanism: Mechanism, *, initial: bool, verdict: str) -> str:
    """Return the dialogue of one exchange; without an answer at its end where the verdict is unknown."""
    texts = [b64encode(text).decode() for text in mechanism.texts]
    lines = [f"C: {speech.ask}{mechanism.name}"]
    if mechanism.client_first and initial:
        lines[0] += f" {texts.pop(0)}"
    elif mechanism.client_first:
        lines.append(f"S: {speech.challenge}")
    sides = ("S", "C") if not mechanism.client_first or initial else ("C", "S")
    for place, text in enumerate(texts):
        side = sides[place % 2]
        lines.append(f"{side}: {speech.challenge if side == 'S' else ''}{text}")
    if verdict != "unknown":
        lines.append(f"S: {speech.accepted if verdict == 'accepted' else speech.refused}")
    return speech.opening + "\n".join(lines) + "\n"


def _sasl() -> list[Feature]:
    return [
        Feature(
            topic=f"{TOPIC}, SASL",
            name=f"{mechanism.name}, {'initial response' if initial else 'asked for'}, {verdict}",
            where=speech.name,
            source=mechanism.source,
            packets=spoken(exchange(speech, mechanism, initial=initial, verdict=verdict), speech.port),
            leaks=tuple(leak + VERDICTS[verdict] for leak in mechanism.leaks),
        )
        for mechanism in MECHANISMS
        for speech in SPEECHES
        for initial in ((True, False) if mechanism.client_first else (False,))
        for verdict in VERDICTS
    ]


def _row(
    speech: Speech, name: str, source: str, text: str, *leaks: str, notes: tuple[str, ...] = ()
) -> Feature:
    return Feature(
        topic=TOPIC,
        name=name,
        where=speech.name,
        source=source,
        packets=spoken(speech.opening + text, speech.port),
        leaks=leaks,
        notes=notes,
    )


def _pair(
    mechanism: str, user: str, password: str, verdict: str = "accepted", extra: str = ""
) -> tuple[str, str]:
    return (
        f"username {user!r} mechanism={mechanism}{extra} {verdict}",
        f"password {password!r} mechanism={mechanism} username={user}{extra} {verdict}",
    )


APOP_DIGEST = "c4c9334bac560ecc979e58001b3e22fb"
APOP_ASK = "<1896.697170952@dbc.mtview.ca.us>"
USER = "C: USER mrose\nS: +OK\n"

LOGINS = (
    *_sasl(),
    _row(POP3, "USER/PASS", "RFC 1939, 7", USER + "C: PASS tan staaf\nS: +OK\n", *_pair("USER/PASS", "mrose", "tan staaf")),
    _row(POP3, "lower case", "RFC 1939, 3", "C: user mrose\nS: +OK\nC: pass x\nS: -ERR\n", *_pair("USER/PASS", "mrose", "x", "refused")),
    _row(POP3, "a password in UTF-8", "RFC 6856, 2.2", USER + "C: PASS ふじ\nS: +OK\n", *_pair("USER/PASS", "mrose", "ふじ")),
    _row(POP3, "a password in Latin-1", "RFC 1939, 3", USER + "C: PASS p\\xe4ss\nS: +OK\n", *_pair("USER/PASS", "mrose", "p\\xe4ss")),
    _row(
        POP3, "several logins in one connection", "RFC 1939, 4",
        USER + "C: PASS one\nS: -ERR\n" + USER + "C: PASS two\nS: +OK\n",
        *_pair("USER/PASS", "mrose", "one", "refused"), *_pair("USER/PASS", "mrose", "two"),
    ),
    _row(POP3, "several commands in one segment", "RFC 2449, 6.8", "C: USER mrose\nC: PASS x\nC: STAT\nS: +OK\nS: +OK\nS: +OK 0 0\n", *_pair("USER/PASS", "mrose", "x")),
    _row(POP3, "a user name alone", "RFC 1939, 7", "C: USER mrose\nS: -ERR\nC: QUIT\nS: +OK\n", "username 'mrose' mechanism=USER/PASS refused"),
    Feature(
        topic=TOPIC, name="APOP, with its challenge", where="POP3", source="RFC 1939, 7",
        packets=spoken(f"S: +OK ready {APOP_ASK}\nC: APOP mrose {APOP_DIGEST}\nS: +OK\n", 110),
        leaks=(
            "username 'mrose' mechanism=APOP accepted",
            f"digest '{APOP_DIGEST}' mechanism=APOP username=mrose challenge={APOP_ASK} accepted",
        ),
    ),
    *(
        _row(
            speech, "an authorization identity", "RFC 4616, 2",
            f"C: {speech.ask}PLAIN {b64encode(b'boss' + bytes(1) + b'tim' + bytes(1) + b'x').decode()}\nS: {speech.accepted}\n",
            *_pair("PLAIN", "tim", "x", extra=" authzid=boss"),
        )
        for speech in SPEECHES
    ),
    *(
        _row(
            speech, "mechanism and command in lower case", "RFC 4422, 3.1",
            f"C: {speech.ask.lower()}plain AHRpbQB4\nS: {speech.accepted}\n",
            *_pair("PLAIN", "tim", "x"),
        )
        for speech in SPEECHES
    ),
    *(
        _row(
            speech, "a cancelled exchange is a note", "RFC 4422, 3.5",
            f"C: {speech.ask}LOGIN\nS: {speech.challenge}VXNlcm5hbWU6\nC: dGlt\nS: {speech.challenge}UGFzc3dvcmQ6\nC: *\nS: {speech.refused}\n",
            notes=("A LOGIN login was cancelled.",),
        )
        for speech in SPEECHES
    ),
    *(
        _row(
            speech, "a mechanism that cannot be read is a note", "RFC 4422",
            f"C: {speech.ask}GSSAPI YIIB\nS: {speech.refused}\n",
            notes=("A login by GSSAPI, which this listener cannot read.",),
        )
        for speech in SPEECHES
    ),
    _row(POP3, "a bare + as the server's challenge", "RFC 5034, 4", "C: AUTH PLAIN\nS: +\nC: AHRpbQB4\nS: +OK\n", *_pair("PLAIN", "tim", "x")),
    _row(POP3, "an empty line before the first command", "RFC 1939, 3", "C:\nS: -ERR what\nC: USER tim\nS: +OK\nC: PASS x\nS: +OK\n", *_pair("USER/PASS", "tim", "x")),
    _row(IMAP, "an empty line before the first command", "RFC 9051, 7.1.3", "C:\nS: * BAD what\nC: a LOGIN tim x\nS: a OK\n", *_pair("LOGIN", "tim", "x")),
    _row(
        IMAP, "a login after IDLE", "RFC 2177", f"C: i IDLE\nS: + idling\nC: DONE\nS: i OK\nC: a AUTHENTICATE CRAM-MD5\nS: + {b64encode(CRAM_ASK).decode()}\n"
        "C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\nS: a OK\n",
        *(leak + " accepted" for leak in MECHANISMS[2].leaks),
    ),
    _row(IMAP, "COMPRESS, refused: what follows is heard", "RFC 4978", "C: c COMPRESS DEFLATE\nS: c NO\nC: a LOGIN tim x\nS: a OK\n", *_pair("LOGIN", "tim", "x")),
    _row(IMAP, "LOGIN with atoms", "RFC 9051, 6.2.3", "C: a LOGIN tim x\nS: a OK\n", *_pair("LOGIN", "tim", "x")),
    _row(IMAP, "LOGIN with quoted strings and escapes", "RFC 9051, 4.3", 'C: a login "tim" "a \\\\"b\\\\" \\\\\\\\"\nS: a NO\n', *_pair("LOGIN", "tim", 'a "b" \\', "refused")),
    _row(IMAP, "LOGIN with literals", "RFC 9051, 4.3", "C: a LOGIN {3}\nS: + go\nC: tim {5}\nS: + go\nC: a b\\xe3\\x81\nS: a OK\n", "username 'tim' mechanism=LOGIN accepted", r"password 'a b\\xe3\\x81' mechanism=LOGIN username=tim accepted"),
    _row(IMAP, "LOGIN with LITERAL+", "RFC 7888, 4", "C: a LOGIN {3+}\nC: tim {3+}\nC: a b\nS: a OK\n", *_pair("LOGIN", "tim", "a b")),
)  # fmt: skip
