"""Messages taken apart: headers, bodies, attachments, and hostile ones."""

from __future__ import annotations

import base64
import hashlib
import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtap.capture.mail import headers, mime
from mailtap.capture.mail.html import html_text
from mailtap.capture.model import Field


def found(message: str | bytes, *, whole: bool = True) -> dict[Field, list[str]]:
    raw = message.replace("\n", "\r\n").encode() if isinstance(message, str) else message
    fields: dict[Field, list[str]] = {}
    for part in mime.read(raw, whole=whole).parts:
        fields.setdefault(part.field, []).append(part.value)
    return fields


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(b"plain", "plain", id="plain"),
        pytest.param(b" folded\r\n text", "folded text", id="folded"),
        pytest.param(b"=?ISO-2022-JP?B?GyRCTnkyPRsoQg==?=", "憐化", id="base64"),
        pytest.param(b"=?iso-8859-1*en?q?caf=E9_x?=", "café x", id="quoted-printable"),
        pytest.param(b"a =?utf-8?q?b?= c", "a b c", id="words-and-text"),
        pytest.param(b"=?utf-8?q?a?= \r\n =?utf-8?q?b?=", "ab", id="white-space-between-words-goes"),
        pytest.param(b"=?utf-8?b?44E=?= =?utf-8?b?gg==?=", "あ", id="character-split-between-words"),
        pytest.param(b"=?utf-8?b?!!!?=x", "x", id="bad-base64"),
        pytest.param(b"=?utf-8?b?YWJj?=", "abc", id="good-base64"),
        pytest.param(b"=?utf-8?b?YWI?=", "ab", id="base64-without-padding"),
        pytest.param(b"=?klingon?q?=E9?=", r"\xe9", id="unknown-charset"),
        pytest.param("grün".encode(), "grün", id="raw-utf-8"),
        pytest.param("漢字".encode("iso2022_jp"), "漢字", id="raw-iso-2022-jp"),
        pytest.param(b"=?utf-8?Q?what??= =?utf-8?q?a?b=3F?=", "what?a?b?", id="question-marks"),
        pytest.param(b"=?utf-8?q?a==?= =?utf-8?q?b?=", "a=b", id="equals-signs"),
        pytest.param(b"=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b", id="word-left-open"),
        pytest.param(b"=?utf-8?x?abc?=", "=?utf-8?x?abc?=", id="unknown-encoding"),
        pytest.param(b"=?=?=?=?=", "=?=?=?=?=", id="not-a-word"),
    ],
)
def test_header_text(raw: bytes, text: str) -> None:
    assert headers.text(raw) == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"a@example.org", ["a@example.org"], id="bare"),
        pytest.param(
            b'"A, B" <a@example.org>, c@example.org', ["a@example.org", "c@example.org"], id="names"
        ),
        pytest.param(b"=?utf-8?q?a=2Cb?= <a@example.org>", ["a@example.org"], id="encoded-comma"),
        pytest.param("漢字".encode("iso2022_jp") + b" <a@example.org>", ["a@example.org"], id="raw-japanese"),
        pytest.param(b"team: a@example.org, b@example.org;", ["a@example.org", "b@example.org"], id="group"),
        pytest.param(b"undisclosed-recipients:;", [], id="nobody"),
        pytest.param(b"root", ["root"], id="local"),
        pytest.param(b"a@b.org c@d.org", ["a@b.org", "c@d.org"], id="no-comma"),
        pytest.param(b"Smith, John <j@example.org>", ["j@example.org"], id="comma-in-a-bare-name"),
        pytest.param(b"=?utf-8?Q?Smith,_John?= <j@example.org>", ["j@example.org"], id="comma-in-a-word"),
        pytest.param(b"bob@example.org <bob@example.org>", ["bob@example.org"], id="address-as-name"),
        pytest.param(b"a@example.org, B <a@example.org>", ["a@example.org"], id="twice"),
        pytest.param(b"John [x] <j@example.org>", ["j@example.org"], id="brackets-in-a-name"),
        pytest.param(b"User <mailto:u@example.org>", ["u@example.org"], id="mailto"),
        pytest.param(b"a@example.org <b@example.org", ["a@example.org", "b@example.org"], id="broken"),
        pytest.param(b"(" * 500, [], id="comments-too-deep"),
        pytest.param(b"(" * 60_000 + b" a@example.org", ["a@example.org"], id="an-address-deep-down"),
    ],
)
def test_addresses(raw: bytes, expected: list[str]) -> None:
    assert headers.addresses(raw) == expected


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        pytest.param(b'x; filename="a b.txt"', "filename", "a b.txt", id="quoted"),
        pytest.param(b'x; filename="a b=c.txt" size=3', "filename", "a b=c.txt", id="a-sign-in-quotes"),
        pytest.param(b"x charset=utf-8", "charset", "utf-8", id="no-semicolon"),
        pytest.param(b"x; FileName=a.txt; y=z", "filename", "a.txt", id="bare"),
        pytest.param(b'x; filename="a\\"b"', "filename", 'a"b', id="escaped"),
        pytest.param(b"x; filename*=utf-8'ja'%E3%81%82.txt", "filename", "あ.txt", id="rfc2231"),
        pytest.param(b"x; filename*=ISO-2022-JP''%1B$B$%22%1B%28B", "filename", "あ", id="rfc2231-japanese"),
        pytest.param(b"x; filename*0=ab; filename*1=cd", "filename", "abcd", id="continued"),
        pytest.param(
            b"x; filename*1=z.txt; filename*0*=utf-8''%E3%81\r\n ; filename*2*=%82",
            "filename",
            None,
            id="mixed",
        ),
        pytest.param(b'x; filename="=?utf-8?b?44GC?="', "filename", "あ", id="encoded-word"),
        pytest.param(b"x; filename=a; filename*=utf-8''b", "filename", "b", id="both-forms"),
        pytest.param(b"x; filename*99999999999999=a", "filename", None, id="absurd-number"),
        pytest.param("x; filename=grün.txt".encode(), "filename", "grün.txt", id="raw-utf-8"),
        pytest.param(b'x; filename="open', "filename", "open", id="quote-left-open"),
    ],
)
def test_parameters(raw: bytes, name: str, value: str | None) -> None:
    got = headers.parameters(raw).get(name)
    if value is not None:
        assert got == value


def test_a_simple_message() -> None:
    message = "From: A <a@example.org>\nTo: b@example.org\nCc: c@example.org\nSubject: hi\n\nHello\n"
    assert found(message) == {
        Field.SENDER: ["a@example.org"],
        Field.RECIPIENT: ["b@example.org", "c@example.org"],
        Field.SUBJECT: ["hi"],
        Field.BODY: ["Hello\n"],
    }


def test_places_hold_the_values() -> None:
    raw = b"from: a@example.org\r\nSUBJECT: folded\r\n\ttext\r\n\r\nHello\r\n"
    for part in mime.read(raw).parts:
        assert headers.text(raw[part.start : part.end]) == part.value.strip()


def built() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "写真"
    message.set_content("本文です\n", charset="iso-2022-jp")
    message.add_alternative("<p>HTML &amp; <b>bold</b></p>", subtype="html")
    message.add_attachment(b"\x00\x01\xff" * 100, maintype="image", subtype="png", filename="写真.png")
    message.add_attachment("text file\n", filename="notes.txt")
    return message


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_message_with_attachments(line_end: str) -> None:
    raw = built().as_bytes().replace(b"\n", line_end.encode())
    parts = mime.read(raw).parts
    assert [(part.field, part.value) for part in parts] == [
        (Field.SENDER, "a@example.org"),
        (Field.RECIPIENT, "b@example.org"),
        (Field.SUBJECT, "写真"),
        (Field.BODY, "本文です\n"),
        (Field.ATTACHMENT, "写真.png"),
        (Field.ATTACHMENT, "notes.txt"),
    ]
    picture = parts[4].attachment
    assert picture is not None
    assert picture.content == b"\x00\x01\xff" * 100
    assert picture.sha256 == hashlib.sha256(picture.content).hexdigest()
    assert picture.content_type == "image/png"
    assert raw[parts[4].start : parts[4].end].strip().startswith(b"AAH/AAH/")
    assert b"\x1b$B" in raw[parts[3].start : parts[3].end] or b"GyRC" in raw[parts[3].start : parts[3].end]


def nested(times: int) -> bytes:
    """Return a mail in a mail, so many times, each in base64."""
    message = b"Subject: in\r\n\r\ninnermost\r\n"
    for _ in range(times):
        encoded = base64.encodebytes(message)
        message = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
    return message


@pytest.mark.parametrize(("times", "is_read"), [(1, True), (3, True), (4, False)])
def test_mails_in_mails_are_decoded_within_bounds(times: int, is_read: bool) -> None:
    (body,) = mime.read(nested(times)).parts
    assert body.value.endswith("Subject: in\n\ninnermost\n") is is_read


def test_mails_in_mails_may_be_deep() -> None:
    message = b"innermost"
    for _ in range(3):
        message = (
            b"".join(
                b"Content-Type: multipart/alternative; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(99)
            )
            + b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
            + base64.encodebytes(message)
        )
    contents = mime.read(message)
    assert [part.value for part in contents.parts] == ["innermost"]
    assert not contents.notes


def test_an_attached_mail_that_was_sent_encoded_is_whole_and_read() -> None:
    inner = built().as_bytes()
    raw = (
        b"Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=old.eml\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(inner)
    )
    parts = mime.read(raw).parts
    assert [part.value for part in parts] == ["本文です\n", "old.eml", "写真.png", "notes.txt"]
    assert next(part.attachment.content for part in parts if part.attachment) == inner
    assert {raw[part.start : part.end].strip() for part in parts} == {base64.encodebytes(inner).strip()}


def test_a_cut_message_keeps_its_last_attachment_to_itself() -> None:
    raw = built().as_bytes()
    contents = mime.read(raw[: raw.index(b"AAH/") + 60], whole=False)
    assert Field.ATTACHMENT not in {part.field for part in contents.parts}
    assert contents.notes == ((mime.CUT_ATTACHMENT, {"filename": "写真.png"}),)


MULTIPART = 'Content-Type: multipart/{kind}; boundary="b"\n\n'
HTML = "Content-Type: text/html\n\n<p>page</p>\n"


@pytest.mark.parametrize(
    ("message", "body"),
    [
        pytest.param("Content-Type: text/html\n\n<p>a</p><p>b", ["a\n\nb"], id="html-only"),
        pytest.param(
            MULTIPART.format(kind="mixed") + "--b\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--\n",
            ["one\ntwo"],
            id="two-texts",
        ),
        pytest.param(
            MULTIPART.format(kind="mixed")
            + '--b\nContent-Type: multipart/alternative; boundary="c"\n\n--c\n\ninner\n--c--\n--b--\n',
            ["inner"],
            id="nested",
        ),
        pytest.param(
            MULTIPART.format(kind="mixed")
            + "--b\nContent-Type: message/rfc822\n\nSubject: in\n\nforwarded\n--b--\n",
            ["Subject: in\n\nforwarded"],
            id="forwarded",
        ),
        *[
            pytest.param(
                MULTIPART.format(kind="mixed")
                + f"--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: {name}\n\n{content}--b--\n",
                ["To: x@example.org\nSubject: in\n\nforwarded"],
                id=f"forwarded-in-{name}",
            )
            for name, content in {
                "base64": "VG86IHhAZXhhbXBsZS5vcmcKU3ViamVjdDogaW4KCmZvcndhcmRlZA==\n",
                "quoted-printable": "Subject:=\n in\nTo: x@example.org\n\nforw=61r=\nded\n",
                "BASE64": "Subject: in\nTo: x@example.org\n\nforwarded\n",
            }.items()
        ],
        pytest.param(
            MULTIPART.format(kind="digest")
            + "--b\n\nFrom: a@example.org\n\none\n--b\n\nSubject: s\n\ntwo\n--b--\n",
            ["From: a@example.org\n\none\nSubject: s\n\ntwo"],
            id="digest",
        ),
        pytest.param(
            MULTIPART.format(kind="report")
            + "--b\n\nfailed\n--b\nContent-Type: message/delivery-status\n\n"
            + "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; c@example.org\n\n--b--\n",
            ["failed\nReporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; c@example.org\n"],
            id="report",
        ),
        pytest.param(
            MULTIPART.format(kind="mixed") + f"--b\n{HTML}--b\nContent-Type: text/plain\n\nfooter\n--b--\n",
            ["page\nfooter"],
            id="html-and-a-footer",
        ),
        pytest.param(
            MULTIPART.format(kind="mixed")
            + f"--b\n\nsee below\n--b\nContent-Type: message/rfc822\n\n{HTML}--b--\n",
            ["see below\npage"],
            id="html-forwarded",
        ),
        pytest.param(
            MULTIPART.format(kind="alternative")
            + f"--b\n{HTML}--b\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n--b--\n",
            ["page"],
            id="html-or-calendar",
        ),
        pytest.param(
            MULTIPART.format(kind="alternative")
            + f"--b\n\nplain\n--b\nContent-Type: text/x-amp-html\n\n<html>\n--b\n{HTML}--b--\n",
            ["plain"],
            id="plain-or-amp-or-html",
        ),
        pytest.param(
            MULTIPART.format(kind="alternative") + f"--b\n\n \n--b\n{HTML}--b--\n",
            ["page"],
            id="nothing-or-html",
        ),
        pytest.param(
            MULTIPART.format(kind="mixed")
            + '--b\nContent-Type: multipart/alternative; boundary="c"\n\n'
            + f'--c\nContent-Type: multipart/related; boundary="d"\n\n--d\n{HTML}--d--\n'
            + f"--c\n\nplain\n--c--\n--b\n{HTML}--b--\n",
            ["plain\npage"],
            id="a-choice-and-html-behind-it",
        ),
        pytest.param(
            MULTIPART.format(kind="mixed")
            + '--b\nContent-Type: multipart/alternative; boundary="c"\n\n--c\n\none\n--c--\n'
            + '--b\nContent-Type: multipart/alternative; boundary="c"\n\n--c\n\ntwo\n--c--\n--b--\n',
            ["one\ntwo"],
            id="two-choices",
        ),
        pytest.param("Content-Transfer-Encoding: base64\n\nSGVsbG8=\n", ["Hello"], id="base64"),
        pytest.param(
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=E3=81=82=\nx\n",
            ["あx\n"],
            id="quoted-printable",
        ),
        *[
            pytest.param(
                f"Content-Transfer-Encoding:{name}\n\n{content}\n", ["Hello\n"], id=f"encoding {name!r}"
            )
            for content, names in {
                "SGVsbG8K": [" base64 ", "\n base64", " base64 (yes)", ' "base64"', " BASE64;"],
                "Hel=6Co": [" quoted-printable;", "\n\tQuoted-Printable"],
            }.items()
            for name in names
        ],
        pytest.param(
            "Content-Transfer-Encoding: quoted-printable\n\none= \ntwo=\t \nthree= x\n= ",
            ["onetwothree= x\n"],
            id="white-space-behind-soft-breaks",
        ),
        pytest.param("Content-Transfer-Encoding: base64\n\n!!!\n", ["!!!\n"], id="bad-base64"),
        *[
            pytest.param(f"Content-Transfer-Encoding: base64\n\n{content}", [text], id=f"base64-with-{name}")
            for name, content, text in [
                ("padding-inside", "SGVsbG8=\nSGVsbG8=\nSGVs\n", "HelloHelloHel"),
                ("padding-inside-a-line", "SGVsbG8=SGk=SGVs\n", "HelloHiHel"),
                ("a-footer", "SGVsbG8=\n\n____\nmailing list footer\nabcd\n", "Hello"),
                ("other-signs", "SGVs\n!bG8g\n dGhl\n", "Hello the"),
                ("no-padding", "SGVsbG8", "Hello"),
                ("a-stray-sign", "SGVs=bG8=", "Hello"),
            ]
        ],
        pytest.param("Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\nM\nend\n", None, id="uuencode"),
        pytest.param("Content-Type: multipart/mixed\n\nno boundary\n", ["no boundary\n"], id="no-boundary"),
        pytest.param("Content-Type: nonsense\n\ntext\n", ["text\n"], id="no-type"),
        pytest.param("Content-Type: text/html charset=utf-8\n\n<p>あ", ["あ"], id="no-semicolon"),
        *[
            pytest.param(f"{fields}\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\n", ["Hello"], id=name)
            for name, fields in {
                "a-field-not-folded": "Subject: a long subject\nfolded badly\n or not",
                "from-of-a-mailbox": ">From a Thu Jan 1\nSubject: s\nFrom a Thu",
                "8-bit-name": "Subject: s\nX-Fü: y",
                "space-before-a-colon": "Subject : s\nContent-Type : text/plain",
            }.items()
        ],
        pytest.param(">From A\nSubject: s\nX-Fü: y\n\nHello\n", ["Hello\n"], id="no-field-at-the-end"),
        pytest.param("Note : this\n\nYours\n", ["Note : this\n\nYours\n"], id="a-note"),
        pytest.param(
            "Dear A,\nthe time: now\n\nYours\n", ["Dear A,\nthe time: now\n\nYours\n"], id="a-letter"
        ),
        pytest.param("no header at all\n", ["no header at all\n"], id="no-header"),
        pytest.param("\nempty header\n", ["empty header\n"], id="empty-header"),
        pytest.param("Subject: only\n", None, id="header-only"),
        pytest.param("", None, id="empty"),
    ],
)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["well-formed", "bare line feeds"])
def test_bodies(message: str, body: list[str] | None, line_end: bytes) -> None:
    got = found(message.encode().replace(b"\n", line_end)).get(Field.BODY)
    if body is None:
        assert got is None or isinstance(got[0], str)
    else:
        assert got == body


def test_8bit_and_unlabelled() -> None:
    assert found("Subject: あ\n\nい\n") == {Field.SUBJECT: ["あ"], Field.BODY: ["い\n"]}
    assert found(b"Subject: \xe9\r\n\r\n\xe9\r\n") == {Field.SUBJECT: ["\\xe9"], Field.BODY: ["\\xe9\n"]}
    koi = b"Content-Type: text/plain; charset=koi8-r\r\n\r\n\xf0\xd2\xc9\xd7\xc5\xd4"
    assert found(koi)[Field.BODY] == [b"\xf0\xd2\xc9\xd7\xc5\xd4".decode("koi8-r")]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 5_000, id="deep"),
        pytest.param("Content-Type: message/rfc822\n\n" * 5_000, id="messages-in-messages"),
        pytest.param(
            "Content-Type: multipart/digest; boundary=b\n\n"
            + "--b\n\nSubject: =?\n\n" * 20_000
            + "x" * 9_000_000,
            id="digest",
        ),
        pytest.param(
            "Content-Type: multipart/mixed; boundary=b\n\n"
            + "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==\n" * 20_000
            + "x" * 9_000_000,
            id="encoded-messages",
        ),
        pytest.param(
            "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nx\n" * 20_000, id="many-parts"
        ),
        pytest.param("Subject: x\n" * 50_000 + "\nbody\n", id="many-headers"),
        pytest.param("x\n" * 400_000 + "Subject: x\n\nbody\n", id="no-fields"),
        pytest.param(
            "x\n" + " \n" * 400_000 + "a " * 9_000 + "Subject: x\n\nbody\n", id="a-folded-line-of-no-field"
        ),
        pytest.param("x" + " " * 900_000 + "y\nSubject: x\n\nbody\n", id="spaces-behind-no-name"),
        pytest.param("Subject:" + " =?utf-8?q?a?=\n" * 20_000 + "\nbody\n", id="long-header"),
        pytest.param("Content-Type: text/plain" + '; a="b' * 20_000 + "\n\nbody\n", id="many-parameters"),
        pytest.param("Content-Type: text/plain" + " " * 60_000 + "a\n\nbody\n", id="much-white-space"),
        pytest.param("Content-Type: text/plain" + " a" * 30_000 + "\n\nbody\n", id="many-words"),
        pytest.param("Content-Type: text/plain " + "a" * 60_000 + "\n\nbody\n", id="a-long-word"),
        pytest.param("Subject: " + "=?u?q?a" * 9_000 + "\n\nbody\n", id="words-left-open"),
        pytest.param("Subject: =?u?q?" + "?a=" * 20_000 + "\n\nbody\n", id="question-marks"),
        pytest.param("To: " + "a@b, " * 20_000 + "\n\nbody\n", id="many-recipients"),
        pytest.param("To: " + "(" * 50_000 + "\n\nbody\n", id="nested-comments"),
        pytest.param(
            "Content-Type: multipart/mixed; boundary=b\n\n"
            + "--b\nContent-Transfer-Encoding: quoted-printable\n\né=41\n" * 1_000
            + "x" * 9_000_000,
            id="8-bit-parts",
        ),
        pytest.param("Content-Transfer-Encoding: base64\n\n" + "=" * 500_000 + "a", id="padding"),
        pytest.param("Content-Transfer-Encoding: base64\n\n" + "aa=" * 200_000 + "a", id="much-padding"),
        pytest.param("Content-Transfer-Encoding: base64\n\n" + "aa==\n" * 200_000 + "a", id="padded-lines"),
        pytest.param("Content-Transfer-Encoding: quoted-printable\n\n" + "= " * 200_000, id="soft-breaks"),
        pytest.param("Content-Transfer-Encoding: quoted-printable\n\n=" + " " * 200_000 + "x", id="spaces"),
        pytest.param("Content-Type: text/html\n\n" + "<" * 200_000, id="html-brackets"),
        pytest.param("Content-Type: text/html\n\n" + "<![" * 50_000, id="html-declarations"),
        pytest.param("Content-Type: text/html\n\n" + "<a b='" * 50_000, id="html-attributes"),
        pytest.param("Content-Type: text/html\n\n" + "<!--" * 50_000, id="html-comments"),
        pytest.param("Content-Type: text/html\n\n" + "<a b=' c>" * 50_001, id="html-quotes"),
        pytest.param("Content-Type: text/html\n\n<a b='>" + '<a b="' * 50_001, id="html-quotes-left-open"),
        pytest.param("Content-Type: text/html\n\n" + "<a b=   " * 50_000, id="html-values"),
        pytest.param("Content-Type: text/html\n\n" + "<a b=" + " " * 200_000, id="html-spaces"),
    ],
)
def test_hostile_messages_cost_little(message: str) -> None:
    start = time.process_time()
    contents = mime.read(message.encode())
    assert time.process_time() - start < 5
    assert len(contents.parts) < 200_000


def test_too_many_parts_are_said() -> None:
    contents = mime.read(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 1_200)
    assert contents.notes == ((mime.TOO_MANY_PARTS, {}),)
    (body,) = contents.parts
    assert body.value.count("x") == mime.PART_LIMIT


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["well-formed", "bare line feeds"])
def test_too_many_parts_are_said_however_they_are_written(line_end: bytes) -> None:
    lines = [b"Content-Type: multipart/mixed; boundary=b", b"", *[b"--b", b"", b"x"] * 20_000, b"--b--", b""]
    contents = mime.read(line_end.join(lines))
    assert contents.notes == ((mime.TOO_MANY_PARTS, {}),)
    (body,) = contents.parts
    assert body.value.count("x") == mime.PART_LIMIT


@pytest.mark.parametrize(
    ("header", "values"),
    [
        pytest.param(b"Subject: " + b"x" * 70_000 + b"\r\n", 1, id="a long field"),
        pytest.param(b"To: a@b.c\r\n" * 20_000, mime.NAME_LIMIT, id="many addresses"),
        pytest.param(b"Subject: x\r\n" * 20_000, mime.NAME_LIMIT, id="many subjects"),
        pytest.param(b"Subject: x\r\n" + b"X: y\r\n" * 200_000 + b"To: a@b.c\r\n", 1, id="many fields"),
    ],
)
def test_too_long_a_header_is_said_and_read_as_far_as_it_goes(header: bytes, values: int) -> None:
    raw = header + b"\r\nbody\r\n"
    contents = mime.read(raw)
    assert (mime.TOO_LONG_A_HEADER, {}) in contents.notes
    assert [part.field for part in contents.parts].count(Field.BODY) == 1
    assert len(contents.parts) == values + 1
    assert all(len(part.value) <= 65_536 for part in contents.parts)
    assert all(part.end - part.start <= 65_536 for part in contents.parts)


def test_too_many_fields_in_a_part_are_said_and_read_as_text() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
    contents = mime.read(head + b"X: y\n" * 60_000 + b"\nbody\n--b--\n")
    assert contents.notes == ((mime.TOO_COMPLEX, {}),)
    (body,) = contents.parts
    assert body.value.endswith("\nbody\n--b--\n")


def test_too_deep_is_said_and_read_as_text() -> None:
    contents = mime.read(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 200)
    assert contents.notes == ((mime.TOO_COMPLEX, {}),)
    assert [part.field for part in contents.parts] == [Field.BODY]


@pytest.mark.parametrize("label", [b"\x80", b"\0", b"idna", b"hex", b"x" * 5000])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["well-formed", "bare line feeds"])
def test_hostile_charset_labels(label: bytes, line_end: bytes) -> None:
    raw = b"Content-Type: text/plain; charset=" + label + line_end * 2 + b"\xe9"
    assert found(raw)[Field.BODY] == ["\\xe9"]


WORDS = [
    b"From: ",
    b"a@b.c",
    b"Subject: ",
    b"\r\n",
    b"\n",
    b" ",
    b"=?utf-8?b?",
    b"?=",
    b"\xe9",
    b"\x1b$B",
    b"--b",
    b"--",
    b"Content-Type: multipart/mixed; boundary=b",
    b"Content-Type: message/rfc822",
    b"Content-Type: text/html; charset=",
    b"Content-Transfer-Encoding: base64",
    b"Content-Disposition: attachment",
    b"Content-Disposition: attachment; filename*0*=",
    b"''%e9",
    b"\0",
    b"<![a",
    b"Content-Type: message/delivery-status",
    b'Content-Type: text/plain; charset="\0"',
    b"quoted-printable",
    b"=",
    b"Content-Transfer-Encoding: x-uuencode",
    b"begin 666 x",
    b"<b>",
    b"&#x110000;",
    b"&#",
    b"Content-Type: message/partial",
]


@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=5), max_size=30), st.booleans())
@settings(deadline=None, max_examples=300)
def test_any_message_is_read(pieces: list[bytes], whole: bool) -> None:
    raw = b"".join(pieces)
    for part in mime.read(raw, whole=whole).parts:
        assert 0 <= part.start <= part.end <= len(raw)
        part.value.encode()


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param("a  b\n c", "a b c", id="white-space"),
        pytest.param("a<br>b<BR/>c", "a\nb\nc", id="breaks"),
        pytest.param("<style>p {}</style>a<script>x < y</script >b", "ab", id="not-shown"),
        pytest.param("a<!-- <b>no</b> -->b", "ab", id="comment"),
        pytest.param("1 < 2 &lt; 3 &#12354;", "1 < 2 < 3 あ", id="signs"),
        pytest.param("&#" + "9" * 5000 + ";x", "\ufffd;x", id="absurd-number"),
        pytest.param("<p>İ<b>x</b></p>", "İx", id="letters-that-grow"),
        pytest.param("a<b", "a", id="tag-left-open"),
        pytest.param("<tr><th>a</th><td>b</td></tr><tr><td>c", "a b\n\nc", id="cells"),
        pytest.param('<a title="a > b" href=\'>\' c="">link</a>', "link", id="signs-in-values"),
        pytest.param("<a b=\"x>y</a> <p c='>z", "y\nz", id="quotes-left-open"),
        pytest.param("<p don't>a</p> it's", "a\nit's", id="quotes-outside-of-values"),
    ],
)
def test_html_text(page: str, text: str) -> None:
    assert html_text(page) == text


@given(st.text(alphabet="<>![]-/&;# abx\"'=", max_size=40))
def test_any_html_is_read(page: str) -> None:
    html_text(page)
