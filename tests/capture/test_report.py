"""Leaks and notes as JSON, rows and lines; what is unsafe to print is shown, not done."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailtap.capture import report
from mailtap.capture.language import load
from mailtap.capture.model import (
    Attachment,
    Endpoint,
    Evidence,
    Field,
    Flow,
    Leak,
    Note,
    Protocol,
    Secret,
    Source,
)
from mailtap.capture.report import HEADINGS, json_line, line, printable, row, sentence, shown, to_json

FLOW = Flow(3, Endpoint("127.0.0.1", 47206), Endpoint("127.0.0.1", 110))
EVIDENCE = Evidence(flow=FLOW, spans=(), packets=(7,), time_ns=1_795_568_000_123_456_000)
SAY = load("en")
LOCALE = Path(report.__file__).parent / "locale"


def leak(field: Field = Field.PASSWORD, value: str = "tanstaaf", **more: object) -> Leak:
    return Leak(field=field, value=Secret(value), protocol=Protocol.POP3, evidence=EVIDENCE, **more)  # type: ignore[arg-type]


LOGIN = leak(mechanism="USER/PASS", username="mrose", accepted=True)


def test_a_login_is_the_contracts_example_to_the_letter() -> None:
    assert json_line(to_json(LOGIN, "x.pcap")) == (
        '{"field": "password", "value": "tanstaaf", "protocol": "pop3", "mechanism": "USER/PASS", '
        '"username": "mrose", "accepted": true, "flow": 3, "client": "127.0.0.1:47206", '
        '"server": "127.0.0.1:110", "packets": [7], "time": 1795568000.123456, "file": "x.pcap"}'
    )


@pytest.mark.parametrize(
    ("item", "further"),
    [
        pytest.param(
            leak(authzid="boss", domain="LAB"), {"authzid": "boss", "domain": "LAB"}, id="identities"
        ),
        pytest.param(leak(Field.DIGEST, "aa", challenge="<1@x>"), {"challenge": "<1@x>"}, id="challenge"),
        pytest.param(
            leak(Field.SENDER, "a@b", source=Source.ENVELOPE, message=2),
            {"source": "envelope", "message": 2},
            id="mail",
        ),
        pytest.param(leak(guessed=True), {"guessed": True}, id="guessed"),
        pytest.param(
            leak(
                Field.ATTACHMENT,
                "a.pdf",
                attachment=Attachment(
                    filename="a.pdf", content_type="application/pdf", content=b"1234", sha256="ff"
                ),
            ),
            {"filename": "a.pdf", "content_type": "application/pdf", "size": 4, "sha256": "ff"},
            id="attachment",
        ),
        pytest.param(leak(), {}, id="nothing further"),
    ],
)
def test_further_keys_stand_only_where_they_mean_something(item: Leak, further: dict[str, object]) -> None:
    base = [
        "field",
        "value",
        "protocol",
        "mechanism",
        "username",
        "accepted",
        "flow",
        "client",
        "server",
        "packets",
        "time",
    ]
    record = to_json(item)
    assert {key: value for key, value in record.items() if key not in base} == further
    assert [key for key in record if key in base] == base


def test_a_note_has_no_field() -> None:
    note = Note(
        text="A hole of {bytes} bytes",
        values=(("bytes", 5),),
        flow=FLOW,
        packets=(1, 2),
        time_ns=10**18,
        damage=True,
    )
    assert to_json(note, "x.pcap") == {
        "field": None,
        "note": "A hole of 5 bytes",
        "protocol": None,
        "flow": 3,
        "client": "127.0.0.1:47206",
        "server": "127.0.0.1:110",
        "packets": [1, 2],
        "time": 1e9,
        "damage": True,
        "file": "x.pcap",
    }
    assert to_json(Note(text="x"))["flow"] is None


@pytest.mark.parametrize("field", list(Field))
def test_a_mask_hides_secrets_and_their_length(field: Field) -> None:
    item = leak(field, "hunter2")
    secret = field in {Field.PASSWORD, Field.TOKEN, Field.DIGEST}
    for text in (
        json_line(to_json(item, mask=True)),
        line(item, SAY, mask=True),
        " ".join(row(item, SAY, mask=True)),
    ):
        assert ("hunter2" in text) is not secret
        assert ("********" in text) is secret


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("plain 日本語 é", "plain 日本語 é", id="ordinary text"),
        pytest.param("\x1b[31mred", "\\x1b[31mred", id="escape sequence"),
        pytest.param("\x9b31m", "\\x9b31m", id="8-bit control sequence"),
        pytest.param("a\x00b\x07\x7f", "a\\x00b\\x07\\x7f", id="nul, bell, delete"),
        pytest.param("a\u202etxt.exe\u2069", "a\\u202etxt.exe\\u2069", id="bidi override and isolate"),
        pytest.param("a\u200bb\ufeff\u00ad\u2060", "a\\u200bb\\ufeff\\xad\\u2060", id="zero-width"),
        pytest.param("a\u2028b\u2029\x85", "a\\u2028b\\u2029\\x85", id="line separators"),
        pytest.param("\r\n\t", "\\r\\n\\t", id="line ends and tab"),
        pytest.param("\ud800", "\\ud800", id="lone surrogate"),
        pytest.param("\U000e0041", "\\U000e0041", id="tag"),
        pytest.param("a\u3164b\u115f", "a\\u3164b\\u115f", id="blank letters"),
    ],
)
def test_what_could_deceive_is_shown(text: str, seen: str) -> None:
    assert printable(text) == seen
    assert shown(leak(value="." + text + "."), mask=False, width=99) == "." + seen + "." or "\n" in text


def only_safe(text: str) -> bool:
    """Python's own judgement; it holds wide and unbreakable spaces for unprintable, which they are not."""
    return all(character.isprintable() or unicodedata.category(character) == "Zs" for character in text)


@given(text=st.text(st.characters(exclude_categories=())))
def test_printable_text_has_nothing_unsafe_and_stays_so(text: str) -> None:
    out = printable(text)
    assert printable(out) == out
    assert only_safe(out)
    out.encode()


@given(text=st.text(st.characters(exclude_categories=())))
@example(text="a\ud800")
def test_json_is_one_safe_line_that_gives_the_text_back(text: str) -> None:
    out = json_line(to_json(leak(value=text)))
    assert only_safe(out)
    whole = text.encode("utf-8", "backslashreplace").decode()
    assert json.loads(out)["value"] == whole


@pytest.mark.parametrize(
    ("value", "width", "seen"),
    [
        pytest.param("0123456789", 10, "0123456789", id="fits"),
        pytest.param("0123456789A", 10, "012345678…", id="one too many"),
        pytest.param("日本語日本語", 8, "日本語…", id="wide characters"),
        pytest.param("one\r\ntwo\n\nthree\n", 40, "one two three", id="lines"),
    ],
)
def test_long_values_are_shortened(value: str, width: int, seen: str) -> None:
    assert shown(leak(value=value), mask=False, width=width) == seen


def test_a_row_fills_the_columns() -> None:
    assert row(LOGIN, SAY) == [
        "3",
        "password",
        "tanstaaf",
        "USER/PASS",
        "yes",
        "7",
    ]
    assert len(row(LOGIN, SAY)) == len(HEADINGS)


def test_a_line_and_a_sentence() -> None:
    assert line(leak(guessed=True), SAY) == (
        "[7] POP3 127.0.0.1:47206 -> 127.0.0.1:110  password (guessed): tanstaaf"
    )
    assert line(leak(accepted=False), SAY).endswith("  password: tanstaaf (refused)")
    assert line(leak(accepted=False), load("ja", LOCALE)).endswith("  パスワード: tanstaaf (拒否)")
    note = Note(text="odd {what}", values=(("what", "\x1b"),), flow=FLOW, packets=(1, 2, 3, 9))
    assert sentence(note, SAY) == "odd \\x1b (127.0.0.1:47206 -> 127.0.0.1:110, packets 1…9)"
    assert sentence(Note(text="quiet"), SAY) == "quiet"
