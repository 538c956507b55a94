"""Charsets that mail really uses, labelled rightly, wrongly or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtap.capture.mail.charsets import decode

HELLO = "こんにちは、世界"
MIXED = b'\x1b$B-!-"\x1b(B and \x1b(I6E\x1b(B'  # circled digits of NEC's row 13, half-width kana


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        pytest.param(HELLO.encode("iso2022_jp"), "ISO-2022-JP", HELLO, id="iso-2022-jp"),
        pytest.param(HELLO.encode("iso2022_jp"), "iso-2022-jp-ms", HELLO, id="iso-2022-jp-ms"),
        pytest.param(HELLO.encode("iso2022_jp"), "cp50220", HELLO, id="cp50220"),
        pytest.param("ハロー".encode("iso2022_jp_1"), "iso-2022-jp-1", "ハロー", id="iso-2022-jp-1"),
        pytest.param("你好ハ".encode("iso2022_jp_2"), "iso-2022-jp-2", "你好ハ", id="iso-2022-jp-2"),
        pytest.param("ｶﾅ".encode("iso2022_jp_ext"), "iso-2022-jp-ext", "ｶﾅ", id="iso-2022-jp-ext"),
        pytest.param("丂①".encode("iso2022_jp_3"), "iso-2022-jp-3", "丂①", id="iso-2022-jp-3"),
        pytest.param(MIXED, "iso-2022-jp", "①② and ｶﾅ", id="vendor-characters"),
        pytest.param(MIXED, "iso-2022-jp-ms", "①② and ｶﾅ", id="vendor-characters-ms"),
        pytest.param(b"\x1b$(D0!\x1b(B", "cp50221", "丂", id="jis-x-0212"),
        pytest.param(b"\x1b$B$3$s\r\n$K$A\x1b(B", "iso-2022-jp", "こん\r\nにち", id="no-escape-at-line-end"),
        pytest.param(HELLO.encode("cp932"), "Shift_JIS", HELLO, id="shift_jis"),
        pytest.param("①髙".encode("cp932"), "shift_jis", "①髙", id="shift_jis-vendor"),
        pytest.param("①髙".encode("cp932"), "windows-31j", "①髙", id="windows-31j"),
        pytest.param(HELLO.encode("euc_jp"), "EUC-JP", HELLO, id="euc-jp"),
        pytest.param(b"\xad\xa1\xa4\xb3", "euc-jp", "①こ", id="euc-jp-vendor"),
        pytest.param("中文字".encode("gb2312"), "GB2312", "中文字", id="gb2312"),
        pytest.param("鎔基€".encode("gb18030"), "gb2312", "鎔基€", id="gb18030-as-gb2312"),
        pytest.param("中文".encode("big5"), "big5", "中文", id="big5"),
        pytest.param("Привет".encode("koi8-r"), "KOI8-R", "Привет", id="koi8-r"),
        pytest.param("안녕 똠".encode("cp949"), "euc-kr", "안녕 똠", id="euc-kr"),
        pytest.param("안녕".encode("cp949"), "ks_c_5601-1987", "안녕", id="ks_c_5601"),
        pytest.param(b"caf\xe9", "iso-8859-1", "café", id="latin-1"),
        pytest.param(b"\x93q\x94 \x81", "iso-8859-1", "\x93q\x94 \x81", id="latin-1-with-controls"),
        pytest.param(b"\x93q\x94", "iso-8859-1", "“q”", id="windows-1252-as-latin-1"),
        *[
            pytest.param(data, label, text, id=label)
            for data, text, labels in [
                (b"\x93q\x94", "“q”", "iso8859-1 latin-1 ISO_8859-1 iso-ir-100 cp-1252 x-cp1252"),
                (b"\xd6\xd0\xa9\x96", "中〇", "GB_2312-80 csGB2312 gb-2312"),
                (b"\xc7\xd1", "한", "x-windows-949 windows-949"),
                (b"\x87\x40", "①", "windows-932 csShiftJIS csWindows31J x-ms-cp932"),
                (b"\xa4\xa4", "中", "x-big5"),
            ]
            for label in labels.split()
        ],
        pytest.param("grün".encode(), "utf-8", "grün", id="utf-8"),
        pytest.param("grün".encode(), "", "grün", id="unlabelled-utf-8"),
        pytest.param(HELLO.encode("iso2022_jp"), "", HELLO, id="unlabelled-iso-2022-jp"),
        pytest.param(HELLO.encode("iso2022_jp"), "us-ascii", HELLO, id="ascii-iso-2022-jp"),
        pytest.param("grün".encode(), "us-ascii", "grün", id="ascii-utf-8"),
        pytest.param(HELLO.encode(), "iso-2022-jp", HELLO, id="utf-8-as-iso-2022-jp"),
        pytest.param(HELLO.encode("cp932"), "iso-2022-jp", HELLO, id="shift_jis-as-iso-2022-jp"),
        pytest.param(HELLO.encode(), "euc-kr", HELLO, id="utf-8-as-euc-kr"),
        pytest.param(b"caf\xe9", "", r"caf\xe9", id="unlabelled-latin-1"),
        pytest.param(b"caf\xe9", "utf-8", r"caf\xe9", id="not-utf-8"),
        pytest.param(b"caf\xe9", "x-klingon", r"caf\xe9", id="unknown-label"),
        pytest.param(b"grun", "idna", "grun", id="not-a-charset"),
        pytest.param(b"6772", "hex", "6772", id="not-a-text-codec"),
        pytest.param(b"x", "\0", "x", id="label-of-nul"),
        pytest.param(b"x", "../../etc", "x", id="label-of-path"),
    ],
)
def test_decodes(data: bytes, label: str, text: str) -> None:
    assert decode(data, label) == text


LABELS = [
    "",
    "iso-2022-jp",
    "iso-2022-jp-ms",
    "euc-jp",
    "shift_jis",
    "gb2312",
    "big5",
    "utf-7",
    "utf-16",
    "hz",
]


@given(st.binary(max_size=60), st.sampled_from(LABELS) | st.text(max_size=20))
def test_never_fails(data: bytes, label: str) -> None:
    decode(data, label)


@given(
    st.lists(
        st.sampled_from(
            [
                b"\x1b$B",
                b"\x1b(B",
                b"\x1b(I",
                b"\x1b$(D",
                b"\x1b(J",
                b"\x1b$@",
                b"ab",
                b"$3",
                b"\r\n",
                b"\x80",
            ]
        )
    )
)
def test_broken_escape_sequences_never_fail(pieces: list[bytes]) -> None:
    decode(b"".join(pieces), "iso-2022-jp-ms")
    decode(b"".join(pieces))
