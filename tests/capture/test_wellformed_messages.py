"""The short way through well-formed messages: it must read the same as the standard library's parser."""

from __future__ import annotations

from email.utils import getaddresses
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench import letters
from mailtap.capture.mail import headers, parts, wellformed

BODY = st.sampled_from([
    b"", b"x", b"Hello\r\n", b"a\r\n\r\nb\r\n", b"\r\n", b"--b\r\n", b"--b--\r\n", b"caf\xc3\xa9\r\n", b"=E9=\r\n",
    b"aGVsbG8=\r\n", b"aGVsbG8\r\n", b"aGVsbG8=\r\naGk=\r\na b\r\n", b"a= \r\nb", b"aGVs\r\nbG8h\r\n", b"a\rb\r\n", b"a\nb\r\n", b"Subject: x\r\n\r\ny", b"--bc\r\nz\r\n",
])  # fmt: skip
FIELDS = st.lists(
    st.sampled_from([
        b"Content-Type: text/plain; charset=utf-8", b"Content-Type: text/html", b"content-type: TEXT/PLAIN",
        b"Content-Type:\r\n text/plain", b'Content-Type: application/pdf;\r\n name="x.pdf"', b"Content-Type: nonsense",
        b"Content-Type: message/rfc822", b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/mixed; boundary=bc", b"Content-Type: Multipart/Alternative ; boundary=b", b"Content-Type: multipart/digest; boundary=b",
        b'Content-Type: multipart/mixed; boundary="b"; boundary=c', b"Content-Type: multipart/alternative",
        b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable ",
        b"Content-Transfer-Encoding: Quoted-Printable", b"Content-Transfer-Encoding: 7bit",
        b"Content-Transfer-Encoding: x-uuencode", b'Content-Transfer-Encoding:\r\n\t"base64"; x', b"Content-Disposition: attachment; filename=a.bin",
        b"Content-Disposition: inline", b"Subject: s", b"From: a@b", b"no field", b" folded", b"From x",
    ]),
    max_size=4,
)  # fmt: skip
SIMPLE = st.builds(
    lambda fields, body: b"".join(each + b"\r\n" for each in fields) + b"\r\n" + body, FIELDS, BODY
)


def multipart(
    boundary: bytes, inner: list[bytes], before: bytes, after: bytes, end: bytes, *, sort: bytes = b"mixed"
) -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in inner)
    kind = b"Content-Type: multipart/" + sort + b"; boundary=" + boundary + b"\r\n\r\n"
    return kind + before + body + b"--" + boundary + end + after


NESTED = st.recursive(
    SIMPLE,
    lambda inner: st.builds(
        multipart,
        st.sampled_from([b"b", b"bc", b"c"]),
        st.lists(inner, max_size=3),
        st.sampled_from([b"", b"preamble\r\n"]),
        st.sampled_from([b"", b"\r\n", b"\r\nepilogue\r\n", b"\r\n--b\r\n"]),
        st.sampled_from([b"--", b"-- ", b""]),
        sort=st.sampled_from([b"mixed", b"alternative"]),
    ),
    max_leaves=6,
)


@given(message=NESTED)
@example(message=multipart(b"b", [multipart(b"b", [b"\r\nx"], b"", b"", b"--")], b"", b"", b"--"))
@example(message=multipart(b"b", [multipart(b"bc", [b"\r\nx"], b"", b"", b"--")], b"", b"", b"--"))
@example(message=multipart(b"bc", [multipart(b"b", [b"\r\nx"], b"", b"", b"--")], b"", b"", b"--"))
def test_what_it_does_not_decline_it_reads_as_the_parser_does(message: bytes) -> None:
    found = wellformed.leaves(message)
    if found is None:
        return
    parsed = parts.parsed(message)
    assert [leaf._replace(place=None) for leaf in found] == [leaf._replace(raw=b"") for leaf in parsed]
    for leaf, other in zip(found, parsed, strict=True):
        assert leaf.place is not None
        assert message[slice(*leaf.place)] == other.raw


@pytest.mark.parametrize("number", range(40))
def test_ordinary_mail_goes_the_short_way(number: int) -> None:
    letter = letters.write(number, Random(number))
    assert wellformed.leaves(letter.data) is not None


@given(raw=st.one_of(
    st.from_regex(rb"[A-Za-z0-9 ]{0,9}<?[a-z0-9_+.-]{1,9}@[a-z0-9.-]{1,9}>?", fullmatch=True),
    st.binary(max_size=30),
))  # fmt: skip
def test_plain_addresses_are_read_as_the_parser_reads_them(raw: bytes) -> None:
    plain = headers.plain_address(raw)
    if plain is not None:
        assert [plain] == [address for _, address in getaddresses([raw.decode()])]
