"""Where there is one of something, no text speaks of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import wire

import mailtap.capture
import mailtap.demo
from mailtap.capture.language import Say, load
from mailtap.capture.model import Leak
from mailtap.capture.pipeline import listen
from mailtap.capture.report import sentence
from mailtap.capture.silence import Sums, of_capture
from mailtap.capture.transcript import transcribe
from mailtap.demo.guessing import attempt
from mailtap.demo.telling.dialogue import show
from mailtap.demo.telling.ending import guesses
from mailtap.demo.telling.reader import Reader

PIECES = [("S", b"+OK\r\n"), ("C", b"NOOP\r\nNOOP"), ("C", b"x"), ("C", b"\r\n"), ("S", b"+OK\r\n")]
APOP = [
    ("S", b"+OK <1896.697170952@dbc.mtview.ca.us>\r\n"),
    ("C", b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"),
    ("S", b"+OK\r\n"),
]


def speak(language: str) -> Say:
    packages = (mailtap.demo, mailtap.capture)
    return load(language, *(Path(str(package.__file__)).parent / "locale" for package in packages))


def dialogue(turns: list[tuple[str, bytes]], language: str, *lost: int) -> str:
    """Return how a conversation is shown; without the packets of these numbers."""
    heard = wire.lose(wire.conversation(turns), *lost)
    leaks = [item for item in listen(heard) if isinstance(item, Leak)]
    (talk,) = transcribe(heard, leaks)
    return "\n".join(line.plain for line in show(talk, leaks, Reader(speak(language))))


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "[one byte is missing from the capture]"), ("ja", "[キャプチャに 1 バイトの欠けがあります]")],
)
def test_a_byte_is_missing(language: str, said: str) -> None:
    (number,) = (packet.number for packet in wire.conversation(PIECES) if packet.data.endswith(b"x"))
    assert said in dialogue(PIECES, language, number)


@pytest.mark.parametrize(("language", "said"), [("en", "[one byte] 00"), ("ja", "[1 バイト] 00")])
def test_a_byte_that_is_no_text(language: str, said: str) -> None:
    assert said in dialogue([("S", b"+OK\r\n"), ("C", b"\x00")], language)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        pytest.param("mrose", "found after", id="several"),
        pytest.param("tanstaaf", "found at the first try in", id="the first"),
    ],
)
def test_a_password_found_by_guessing(word: str, said: str) -> None:
    (digest,) = (
        each for each in listen(wire.conversation(APOP)) if isinstance(each, Leak) and each.challenge
    )
    found = replace(attempt(digest, ["tanstaaf"]), tries=1 if word == "tanstaaf" else 2)
    lost = replace(found, found=None)
    told = "\n".join(line.plain for line in guesses([found, lost], Reader(speak("en"))))
    assert said in told
    assert ("no word fits after one try in" in told) is (found.tries == 1)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Too many connections were open at once; a silent one was given up."),
        ("ja", "同時に開いた接続が多すぎたため、静かなものを 1 本あきらめました。"),
    ],
)
def test_a_connection_was_given_up(language: str, said: str) -> None:
    sums = Sums(last=1, strange=0, excused=False, others=0, empty=0, crowded_out=1)
    assert [sentence(note, speak(language)) for note in of_capture(sums)] == [said]
