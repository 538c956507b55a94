"""Mail: envelopes and messages, however they cross, and what is in them."""

from __future__ import annotations

import base64
import re

from feature import Feature, spoken

TOPIC = "Mail on its way"
CONTENT = "What is in a mail"

HELLO = "S: 220 mx\nC: EHLO me\nS: 250 mx\n"
ENVELOPE = "C: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@x.test>\nS: 250 ok\n"
GO = "C: DATA\nS: 354 go\n"
POP = "S: +OK ready\nC: USER u\nS: +OK\n"
FETCH = "S: * OK ready\nC: s SELECT INBOX\nS: s OK\n"
USER = "username 'u' mechanism=USER/PASS"


def _sent(*rest: str, message: int = 1, to: str = "b@x.test accepted") -> tuple[str, ...]:
    address, verdict = to.split(" ")
    found = [re.sub(r"( type=.*)?\Z", rf" message={message}\1", each, count=1) for each in rest]
    return (
        f"sender 'a@x.test' source=envelope message={message} accepted",
        f"recipient '{address}' source=envelope message={message} {verdict}",
        *found,
    )


def _smtp(name: str, source: str, text: str, *leaks: str, notes: tuple[str, ...] = ()) -> Feature:
    return Feature(
        topic=TOPIC, name=name, where="SMTP", source=source, packets=spoken(HELLO + text, 25), leaks=leaks, notes=notes
    )  # fmt: skip


def _pop3(name: str, source: str, text: str, *leaks: str, notes: tuple[str, ...] = ()) -> Feature:
    return Feature(
        topic=TOPIC, name=name, where="POP3", source=source, packets=spoken(POP + text, 110), leaks=(USER, *leaks), notes=notes
    )  # fmt: skip


def _imap(name: str, source: str, text: str, *leaks: str, notes: tuple[str, ...] = ()) -> Feature:
    return Feature(
        topic=TOPIC, name=name, where="IMAP", source=source, packets=spoken(FETCH + text, 143), leaks=leaks, notes=notes
    )  # fmt: skip


SMTP = (
    _smtp(
        "envelope, each recipient accepted or refused, so that Bcc shows", "RFC 5321, 3.3",
        "C: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@x.test>\nS: 250 ok\nC: RCPT TO:<c@x.test>\nS: 550 no\n"
        + GO + "C: To: b@x.test\nC:\nC: hi\nC: .\nS: 250 ok\n",
        *_sent(), "recipient 'c@x.test' source=envelope message=1 refused", "body 'hi\\n' message=1",
    ),
    _smtp("DATA", "RFC 5321, 4.1.1.4", ENVELOPE + GO + "C: Subject: s\nC:\nC: hi\nC: .\nS: 250 ok\n", *_sent("subject 's'", "body 'hi\\n'")),
    _smtp("dot-stuffing undone", "RFC 5321, 4.5.2", ENVELOPE + GO + "C:\nC: ..\nC: ..x\nC: .\nS: 250 ok\n", *_sent("body '.\\n.x\\n'")),
    _smtp("commands inside a mail are text", "RFC 5321, 4.1.1.4", ENVELOPE + GO + "C:\nC: PASS x\nC: AUTH PLAIN AHRpbQB4\nC: .\nS: 250 ok\n", *_sent("body 'PASS x\\nAUTH PLAIN AHRpbQB4\\n'")),
    _smtp("BDAT", "RFC 3030, 2", ENVELOPE + "C: BDAT 15 LAST\nC: Subject: s\nC:\nC: x\\\nS: 250 ok\n", *_sent("subject 's'", "body 'x'")),
    _smtp(
        "BDAT, pipelined chunks and a zero-length LAST", "RFC 3030, 2",
        "C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@x.test>\nC: BDAT 6\nC: \\r\\nQUIT\\\nC: BDAT 2\nC: \\r\\n\\\nC: BDAT 0 LAST\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\n",
        *_sent("body 'QUIT\\n'"),
    ),
    _smtp("BDAT, a size larger than what came", "RFC 3030, 2", ENVELOPE + "C: BDAT 99 LAST\nC:\nC: hi\n", *_sent("body 'hi\\n'"), notes=("Message 1 is not whole.",)),
    _smtp("BDAT without a size", "RFC 3030, 2", ENVELOPE + "C: BDAT x\nS: 501 no\n", *_sent(), notes=("A BDAT command without a size was skipped.",)),
    _smtp("pipelining", "RFC 2920", "C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@x.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC:\nC: hi\nC: .\nC: QUIT\nS: 250 ok\nS: 221 bye\n", *_sent("body 'hi\\n'")),
    _smtp(
        "RSET between two transactions", "RFC 5321, 4.1.1.5", ENVELOPE + "C: RSET\nS: 250 ok\n" + ENVELOPE.replace("b@", "c@") + GO + "C:\nC: hi\nC: .\nS: 250 ok\n",
        *_sent(), *_sent("body 'hi\\n'", message=2, to="c@x.test accepted"),
    ),
    _smtp("a nested MAIL, refused", "RFC 5321, 4.1.4", ENVELOPE + "C: MAIL FROM:<n@x.test>\nS: 503 no\n" + GO + "C:\nC: hi\nC: .\nS: 250 ok\n", "sender 'n@x.test' source=envelope message=1 refused", *_sent("body 'hi\\n'", message=2)),
    _smtp("a refused transaction", "RFC 5321, 3.3", "C: MAIL FROM:<a@x.test>\nS: 530 no\nC: RCPT TO:<b@x.test>\nS: 503 no\n", *(each.replace("accepted", "refused") for each in _sent())),
    _smtp("DATA, refused: what follows is a command", "RFC 5321, 4.1.1.4", ENVELOPE + "C: DATA\nS: 554 no\nC: QUIT\nS: 221 bye\n", *_sent()),
    _smtp("several mails in one connection", "RFC 5321, 3.3", 2 * (ENVELOPE + GO + "C:\nC: hi\nC: .\nS: 250 ok\n"), *_sent("body 'hi\\n'"), *_sent("body 'hi\\n'", message=2)),
    _smtp("the null sender", "RFC 5321, 4.5.5", ENVELOPE.replace("a@x.test", "") + GO + "C:\nC: hi\nC: .\nS: 250 ok\n", *_sent("body 'hi\\n'")[1:]),
    Feature(
        topic=TOPIC, name="LMTP, a verdict for each recipient", where="SMTP", source="RFC 2033, 4.2",
        packets=spoken("S: 220 x LMTP\nC: LHLO me\nS: 250 mx\n" + ENVELOPE + GO + "C:\nC: hi\nC: .\nS: 250 ok\nC: QUIT\nS: 221 bye\n", 24),
        leaks=_sent("body 'hi\\n'"),
    ),
)  # fmt: skip

RETR = "C: RETR 1\nS: +OK{count}\nS: From: a@x.test\nS:\nS: hi\nS: .\n"
FROM = "sender 'a@x.test' source=header message={0}"
POP3 = (
    _pop3("RETR", "RFC 1939, 5", RETR.format(count=" 26 octets"), FROM.format(1), "body 'hi\\n' message=1"),
    _pop3("RETR without an octet count", "RFC 1939, 5", RETR.format(count=""), FROM.format(1), "body 'hi\\n' message=1"),
    _pop3("RETR with a wrong octet count", "RFC 1939, 5", RETR.format(count=" 3 octets"), FROM.format(1), "body 'hi\\n' message=1"),
    _pop3(
        "pipelined RETRs, replies and mails in one segment", "RFC 2449, 6.8",
        "C: RETR 1\nC: RETR 2\nS: +OK\nS: From: a@x.test\nS:\nS: 1\nS: .\nS: +OK\nS: From: a@x.test\nS:\nS: 2\nS: .\n",
        FROM.format(1), "body '1\\n' message=1", FROM.format(2), "body '2\\n' message=2",
    ),
    _pop3("TOP", "RFC 1939, 7", "C: TOP 1 0\nS: +OK\nS: Subject: s\nS:\nS: .\n", "subject 's' message=1", notes=("Message 1 is not whole.",)),
    _pop3("dot-stuffing undone", "RFC 1939, 3", "C: RETR 1\nS: +OK\nS:\nS: ..\nS: .\n", "body '.\\n' message=1"),
    _pop3("replies and commands inside a mail are text", "RFC 1939, 3", "C: RETR 1\nS: +OK\nS:\nS: -ERR\nS: PASS x\nS: .\nC: QUIT\nS: +OK\n", "body '-ERR\\nPASS x\\n' message=1"),
)  # fmt: skip


def _literal(text: str, side: str = "S", sign: str = "") -> str:
    """Return a literal (RFC 9051, section 4.3), ready for what follows it on its last line."""
    return f"{{{len(text) + text.count(chr(10))}{sign}}}\n{side}: " + text.replace("\n", f"\n{side}: ")


MAIL = "Subject: s\n\nx"
SUBJECT_AND_BODY = ("subject 's' message=1", "body 'x' message=1")
LOGOUT = "C: z LOGOUT\nS: * BYE\nS: z OK\n"
PLAIN_PART = "Content-Type: text/plain; charset=utf-8\n\n"
IMAP = (
    _imap("FETCH BODY[]", "RFC 9051, 7.5.2", f"C: a FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {_literal(MAIL)})\nS: a OK\n", *SUBJECT_AND_BODY),
    _imap("FETCH RFC822", "RFC 3501, 7.4.2", f"C: a FETCH 1 RFC822\nS: * 1 FETCH (RFC822 {_literal(MAIL)})\nS: a OK\n", *SUBJECT_AND_BODY),
    _imap(
        "header and text fetched apart, joined", "RFC 9051, 6.4.5",
        f"C: a UID FETCH 9 (UID BODY.PEEK[HEADER])\nS: * 1 FETCH (UID 9 BODY[HEADER] {_literal(MAIL[:-1])})\nS: a OK\n"
        f"C: b UID FETCH 9 (UID BODY.PEEK[TEXT])\nS: * 1 FETCH (UID 9 BODY[TEXT] {_literal('x')})\nS: b OK\n" + LOGOUT,
        *SUBJECT_AND_BODY,
    ),
    _imap(
        "partial fetches, joined", "RFC 9051, 6.4.5",
        f"C: a FETCH 1 BODY[]<0.9>\nS: * 1 FETCH (BODY[]<0> {_literal(MAIL[:9])})\nS: a OK\n"
        f"C: b FETCH 1 BODY[]<9.9>\nS: * 1 FETCH (BODY[]<9> {_literal(MAIL[9:])})\nS: b OK\n" + LOGOUT,
        *SUBJECT_AND_BODY,
    ),
    _imap(
        "part by part, with its MIME header", "RFC 9051, 6.4.5",
        f"C: a FETCH 1 (BODY[HEADER] BODY[1.MIME] BODY[1])\nS: * 1 FETCH (BODY[HEADER] {_literal(MAIL[:-1])} "
        f"BODY[1.MIME] {_literal(PLAIN_PART)} BODY[1] {_literal('x')})\nS: a OK\n" + LOGOUT,
        *SUBJECT_AND_BODY,
    ),
    _imap(
        "ENVELOPE", "RFC 9051, 7.5.2",
        'C: a FETCH 1 ENVELOPE\nS: * 1 FETCH (ENVELOPE (NIL "s" ((NIL NIL "a" "x.test")) NIL NIL NIL NIL NIL NIL NIL))\nS: a OK\n' + LOGOUT,
        "sender 'a@x.test' source=header message=1", "subject 's' message=1",
    ),
    *(
        _imap(
            f"what is fetched apart is not joined across {name}", source,
            f"C: a FETCH 1 BODY[HEADER]\nS: * 1 FETCH (BODY[HEADER] {_literal(MAIL[:-1])})\nS: a OK\n{between}"
            f"C: c FETCH 1 BODY[TEXT]\nS: * 1 FETCH (BODY[TEXT] {_literal('y')})\nS: c OK\n" + LOGOUT,
            "subject 's' message=1", "body 'y' message=2",
        )
        for name, source, between in (
            ("mailboxes", "RFC 9051, 6.3.2", "C: b SELECT Sent\nS: b OK\n"),
            ("EXPUNGE", "RFC 9051, 7.5.1", "C: b NOOP\nS: * 1 EXPUNGE\nS: b OK\n"),
        )
    ),
    _imap("APPEND", "RFC 9051, 6.3.12", f"C: a APPEND Sent (\\\\Seen) {_literal(MAIL, 'C')}\nS: a OK\n".replace("}\n", "}\nS: + go\n"), *SUBJECT_AND_BODY),
    _imap("APPEND with LITERAL+", "RFC 7888, 4", f"C: a APPEND Sent {_literal(MAIL, 'C', '+')}\nS: a OK\n", *SUBJECT_AND_BODY),
    _imap("COMPRESS: a note, nothing behind it is read", "RFC 4978", "C: a COMPRESS DEFLATE\nS: a OK\nC: b LOGIN tim x\nS: b OK\n", notes=("Compressed (IMAP COMPRESS): the rest was not read.",)),
)  # fmt: skip


def _content(name: str, source: str, mail: str | bytes, *leaks: str) -> Feature:
    raw = mail.encode() if isinstance(mail, str) else mail
    lines = "".join(
        f"C: {line}\n"
        for line in raw.decode("latin-1").encode("unicode_escape").decode().replace("\\n", "\n").splitlines()
    )
    return Feature(
        topic=CONTENT, name=name, where="MIME", source=source,
        packets=spoken(HELLO + ENVELOPE + GO + lines + "C: .\nS: 250 ok\n", 25), leaks=_sent(*leaks),
    )  # fmt: skip


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


TEXT = "MIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
JAPANESE = "こんにちは①"
CHARSETS = (
    ("ISO-2022-JP", "iso2022_jp", "こんにちは", "RFC 1468"),
    ("ISO-2022-JP-1", "iso2022_jp_1", "こんにちは", "RFC 2237"),
    ("ISO-2022-JP-2", "iso2022_jp_2", "こんにちは你好", "RFC 1554"),
    ("Shift_JIS", "cp932", JAPANESE, "IANA"),
    ("EUC-JP", "euc_jp", "こんにちは", "IANA"),
    ("UTF-8", "utf-8", JAPANESE, "RFC 3629"),
    ("GB2312", "gb2312", "中文", "RFC 1345"),
    ("GB18030", "gb18030", "鎔基", "IANA"),
    ("KOI8-R", "koi8_r", "Привет", "RFC 1489"),
    ("ISO-8859-1", "latin-1", "café", "RFC 1345"),
)
MIXED = """Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain

hi
--c
Content-Type: text/html

<b>hi</b>
--c--
--b
Content-Type: application/pdf
Content-Transfer-Encoding: base64
Content-Disposition: attachment; {filename}

JVBERg==
--b--
"""
ATTACHED = "attachment '{}' type=application/pdf size=4"

MIME = (
    *(
        _content(
            f"{label}, labelled, in base64", source, TEXT.format(charset=label, encoding="base64") + _b64(text.encode(codec)) + "\n", f"body {text!r}"
        )
        for label, codec, text, source in CHARSETS
    ),
    *(
        _content(f"{label}, labelled, in 8 bits", source, TEXT.format(charset=label, encoding="8bit").encode() + text.encode(codec) + b"\n", f"body {text + chr(10)!r}")
        for label, codec, text, source in CHARSETS
    ),
    _content("unlabelled UTF-8", "RFC 6532", "\nこんにちは\n", "body 'こんにちは\\n'"),
    _content("unlabelled ISO-2022-JP", "RFC 1468", b"\n" + "こんにちは".encode("iso2022_jp") + b"\n", "body 'こんにちは\\n'"),
    _content("unlabelled bytes of no charset, as escapes", "RFC 2045", b"\ncaf\xe9\n", r"body 'caf\\xe9\n'"),
    _content("quoted-printable", "RFC 2045, 6.7", TEXT.format(charset="utf-8", encoding="quoted-printable") + "gr=C3=BCn=\n!\n", "body 'grün!\\n'"),
    _content("encoded words in the subject", "RFC 2047", "Subject: =?utf-8?B?5pi8?= and\n =?utf-8?Q?=E9=A3=9F?=\n\nx\n", "subject '昼 and 食'", "body 'x\\n'"),
    _content("HTML alone, as text", "RFC 2854", "Content-Type: text/html\n\n<p>a &lt; b</p>\n", "body 'a < b'"),
    _content("nested parts; plain text before HTML; an attachment", "RFC 2046, 5.1", MIXED.format(filename='filename="a.pdf"'), "body 'hi'", ATTACHED.format("a.pdf")),
    _content("an attachment's name by RFC 2231, in pieces", "RFC 2231, 3 and 4", MIXED.format(filename="filename*0*=utf-8''%E8%A6%8B;\n filename*1*=%E7%A9%8D.pdf"), "body 'hi'", ATTACHED.format("見積.pdf")),
    _content("an attachment's name as an encoded word", "RFC 2047", MIXED.format(filename='filename="=?utf-8?B?6KaL56mN?=.pdf"'), "body 'hi'", ATTACHED.format("見積.pdf")),
    _content("an attached mail", "RFC 2046, 5.2.1", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nfwd\n--b\nContent-Type: message/rfc822\n\nSubject: inner\n\ninside\n--b--\n", "body 'fwd\\nSubject: inner\\n\\ninside'"),
)  # fmt: skip

MAILS = (*SMTP, *POP3, *IMAP, *MIME)
