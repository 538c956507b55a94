"""A secret is found in every shape that a mail protocol may give it, and nowhere by chance."""

from __future__ import annotations

import base64
import quopri
import secrets
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtap.demo.testing.errors import SecretTooShort
from mailtap.demo.testing.needles import SHORTEST, needles

ASCII = "s3cr=t +pass/word&more"
JAPANESE = "来期の給与"
ACCENTS = "pâté-déjà-vu"


def b64(text: str | bytes) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


def found(secret: str | bytes, stream: bytes) -> bool:
    return any(needle.pattern.search(stream) for needle in needles(secret))


@pytest.mark.parametrize(
    ("secret", "stream"),
    [
        pytest.param(ASCII, b"PASS " + ASCII.encode() + b"\r\n", id="as it is"),
        pytest.param(ASCII.encode(), b"PASS " + ASCII.encode() + b"\r\n", id="bytes"),
        pytest.param(ASCII, b64(ASCII), id="base64 alone, as in LOGIN"),
        pytest.param(ASCII, b64(f"\0taro\0{ASCII}"), id="SASL PLAIN"),
        pytest.param(ASCII, b64(f"tar\0taro\0{ASCII}"), id="SASL PLAIN, aligned otherwise"),
        pytest.param(ASCII, b64(f"taro\0taro\0{ASCII}"), id="SASL PLAIN, aligned the third way"),
        pytest.param(ASCII, b64(f"user=a\1auth=Bearer {ASCII}\1\1"), id="XOAUTH2"),
        pytest.param(ASCII, base64.encodebytes(b"x" * 50 + ASCII.encode() + b"y" * 50), id="base64 in lines"),
        pytest.param("????>>>>~~~~", base64.urlsafe_b64encode(b"????>>>>~~~~"), id="base64 for URLs"),
        pytest.param(ASCII, quopri.encodestring(ASCII.encode(), quotetabs=True), id="quoted-printable"),
        pytest.param(
            ACCENTS, quopri.encodestring(b"x" * 70 + ACCENTS.encode()), id="quoted-printable in lines"
        ),
        pytest.param("two words", b"Subject: =?utf-8?q?two_words?=", id="Q in a header"),
        pytest.param(ASCII, quote(ASCII).encode(), id="percent signs"),
        *(
            pytest.param(JAPANESE, f"x{JAPANESE}y".encode(charset), id=charset)
            for charset in ("utf-8", "utf-16-le", "utf-16-be", "utf-7", "iso2022_jp", "shift_jis", "euc_jp")
        ),
        pytest.param(JAPANESE, b64(f"x{JAPANESE}".encode("iso2022_jp")), id="iso-2022-jp in base64"),
        pytest.param(ACCENTS, ACCENTS.encode("latin-1"), id="latin-1"),
        pytest.param(ASCII, ASCII.encode("utf-16-le"), id="utf-16 of ASCII, as in NTLM"),
        pytest.param(ASCII, ASCII.encode("utf-7"), id="utf-7 of ASCII"),
        pytest.param("日本語&more", b"SELECT &ZeVnLIqe-&-more", id="IMAP's UTF-7"),
    ],
)
def test_a_shape_is_found(secret, stream):
    assert found(secret, stream)
    assert not found("another " + secret if isinstance(secret, str) else b"another " + secret, stream)


@settings(deadline=None)  # each example compiles dozens of expressions
@given(
    secret=st.text(
        st.characters(min_codepoint=32, exclude_categories=("Cs",)), min_size=SHORTEST, max_size=24
    ),
    before=st.binary(max_size=8),
    after=st.binary(max_size=8),
)
def test_a_secret_is_found_in_base64_whatever_stands_beside_it(secret, before, after):
    assert found(secret, base64.b64encode(before + secret.encode() + after))


@settings(deadline=None)  # each example compiles dozens of expressions
@given(secret=st.binary(min_size=SHORTEST, max_size=24), before=st.binary(max_size=80))
def test_a_secret_is_found_in_quoted_printable_whatever_stands_before_it(secret, before):
    lines = quopri.encodestring(before + b"|" + secret + b"|", quotetabs=True)
    if b"\n" not in secret:
        assert found(secret, lines)


def test_nothing_is_found_in_noise():
    noise = secrets.token_bytes(500_000) + base64.b64encode(secrets.token_bytes(500_000))
    assert not any(found(secrets.token_urlsafe(9), noise) for _ in range(5))


@pytest.mark.parametrize("secret", ["", "abc", b"abc"])
def test_what_would_be_found_by_chance_is_refused(secret):
    with pytest.raises(SecretTooShort, match="by chance"):
        needles(secret)
