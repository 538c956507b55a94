"""Digests give up weak passwords and keep strong ones."""

import hashlib
import hmac
import itertools
import math
import os
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailtap.capture.guess import (
    WordListError,
    bundled_words,
    candidates,
    find,
    guess,
    read_words,
    seconds_to_exhaust,
)
from mailtap.capture.model import Direction, Endpoint, Evidence, Field, Flow, Leak, Protocol, Secret, Span

STRONG = "t9#Kf!2vQz@7"
EVIDENCE = Evidence(
    Flow(1, Endpoint("127.0.0.1", 47206), Endpoint("127.0.0.1", 110)),
    (Span(Direction.CLIENT, 11, 43),),
    (6,),
    7,
)


def apop(challenge: bytes, password: bytes) -> str:
    return hashlib.md5(challenge + password).hexdigest()


def cram_md5(challenge: bytes, password: bytes) -> str:
    return hmac.new(password, challenge, "md5").hexdigest()


MECHANISMS = [pytest.param("APOP", apop, id="apop"), pytest.param("CRAM-MD5", cram_md5, id="cram-md5")]


def leaked(mechanism: str | None, digest: str, **changes: object) -> Leak:
    fields = {
        "field": Field.DIGEST,
        "value": Secret(digest),
        "protocol": Protocol.POP3,
        "evidence": EVIDENCE,
        "mechanism": mechanism,
        "username": "taro",
        "challenge": "<1896.697170952@lab.example>",
        "accepted": True,
    }
    return Leak(**(fields | changes))


# --- the RFCs' own examples --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanism", "challenge", "digest", "password"),
    [
        pytest.param(
            "APOP",
            b"<1896.697170952@dbc.mtview.ca.us>",
            "c4c9334bac560ecc979e58001b3e22fb",
            "tanstaaf",
            id="rfc1939-section-7",
        ),
        pytest.param(
            "CRAM-MD5",
            b"<1896.697170952@postoffice.reston.mci.net>",
            "b913a602c7eda7a495b4e6e7334d3890",
            "tanstaaftanstaaf",
            id="rfc2195-section-2",
        ),
    ],
)
def test_the_rfc_example_is_found(mechanism, challenge, digest, password):
    assert find(mechanism, challenge, digest, ["wrong", password, "late"]) == (password, 2)
    assert find(mechanism, challenge, digest.upper(), [password]) == (password, 1)
    assert find(mechanism, challenge + b" ", digest, ["wrong", password]) == (None, 2)


@example(challenge=b"<1@x>", password="longer than a block of MD5 " * 3)
@given(challenge=st.binary(max_size=200), password=st.text(max_size=100))
@pytest.mark.parametrize(("mechanism", "digest"), MECHANISMS)
def test_any_password_in_the_list_is_found(mechanism, digest, challenge, password):
    wanted = digest(challenge, password.encode())
    assert find(mechanism, challenge, wanted, [password + "x", password]) == (password, 2)


@given(
    mechanism=st.sampled_from(["APOP", "CRAM-MD5", "PLAIN"]),
    challenge=st.binary(),
    digest=st.text(max_size=40),
)
def test_hostile_challenges_and_digests_never_raise(mechanism, challenge, digest):
    assert find(mechanism, challenge, digest, ["word"])[0] is None


@pytest.mark.parametrize(
    ("mechanism", "digest"),
    [
        pytest.param("SCRAM-SHA-256", "0" * 32, id="other-mechanism"),
        pytest.param("APOP", "no hex", id="not-hex"),
        pytest.param("APOP", "00", id="too-short"),
        pytest.param("CRAM-MD5", "", id="empty"),
    ],
)
def test_what_cannot_be_guessed_is_not_tried(mechanism, digest):
    assert find(mechanism, b"<1@x>", digest, itertools.repeat("word")) == (None, 0)


# --- leaks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mechanism", "digest"), MECHANISMS)
def test_a_guessed_password_is_a_leak_with_the_digests_evidence(mechanism, digest):
    leak = leaked(mechanism, digest(b"<1896.697170952@lab.example>", b"sakura2024"))
    found = guess(leak, candidates(bundled_words(), "taro"))
    assert found is not None
    assert (found.field, found.value.reveal(), found.guessed) == (Field.PASSWORD, "sakura2024", True)
    kept = ("protocol", "evidence", "mechanism", "username", "challenge", "accepted")
    assert [getattr(found, name) for name in kept] == [getattr(leak, name) for name in kept]


@pytest.mark.parametrize(("mechanism", "digest"), MECHANISMS)
def test_a_strong_password_stands(mechanism, digest):
    wanted = digest(b"<1896.697170952@lab.example>", STRONG.encode())
    assert guess(leaked(mechanism, wanted), candidates(bundled_words(), "taro")) is None
    assert guess(leaked(mechanism, wanted), [STRONG]) is not None  # not the machinery, the list fails


def test_a_challenge_with_bytes_that_are_no_text_is_undone():
    wanted = apop(b"<\xe9\xff@x>", b"word")
    assert guess(leaked("APOP", wanted, challenge=r"<\xe9\xff@x>"), ["word"]) is not None
    wanted = apop("<é@x>".encode(), b"word")
    assert guess(leaked("APOP", wanted, challenge="<é@x>"), ["word"]) is not None


@pytest.mark.parametrize(
    ("mechanism", "changes"),
    [
        pytest.param("APOP", {"field": Field.PASSWORD}, id="already-a-password"),
        pytest.param("APOP", {"challenge": None}, id="no-challenge"),
        pytest.param(None, {}, id="no-mechanism"),
    ],
)
def test_other_leaks_are_not_guessed(mechanism, changes):
    wanted = apop(b"<1896.697170952@lab.example>", b"word")
    assert guess(leaked("APOP", wanted), ["word"]) is not None
    assert guess(leaked(mechanism, wanted, **changes), ["word"]) is None


# --- words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "username"),
    [
        pytest.param("sakura", None, id="as-it-is"),
        pytest.param("sakura2024", None, id="year"),
        pytest.param("Sakura2024!", None, id="capitalised-year-and-mark"),
        pytest.param("SAKURA", None, id="capitals"),
        pytest.param("himitsu123", None, id="digits"),
        pytest.param("hanako07", None, id="two-digits"),
        pytest.param("himitsu!", None, id="mark"),
        pytest.param("m.rose", "m.rose", id="user-name"),
        pytest.param("m.rose1998", "m.rose@lab.example", id="user-name-without-domain"),
        pytest.param("m.rose@lab.example", "m.rose@lab.example", id="user-name-with-domain"),
    ],
)
def test_people_s_passwords_are_candidates(password, username):
    assert password in set(candidates(bundled_words(), username))


def test_candidates_of_an_endless_list_come_at_once():
    assert next(candidates(itertools.repeat("word"))) == "word"


def test_candidates_without_words_are_the_user_name_s():
    assert list(candidates([], "")) == list(candidates([])) == []
    assert next(candidates([], "taro")) == "taro"


def test_the_bundled_list_is_fit_to_use():
    words = bundled_words()
    assert 1000 <= len(words) == len(set(words)) <= 2000
    assert all(word == word.strip() and word.isascii() and word.isprintable() for word in words)
    assert {"sakura", "tokyo", "hanako", "taro", "himitsu", "naisho", "qwerty", "2024"} <= set(words)
    assert words[0] == "password"
    assert STRONG not in words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"one\ntwo\n", ["one", "two"], id="plain"),
        pytest.param(b"one\ntwo", ["one", "two"], id="no-last-line-end"),
        pytest.param(b"one\r\ntwo\r\n", ["one", "two"], id="crlf"),
        pytest.param(b"\xef\xbb\xbfone\n", ["one"], id="byte-order-mark"),
        pytest.param(b"\n\none\n\n", ["one"], id="empty-lines"),
        pytest.param(
            b" two words \n#hash\n", [" two words ", "#hash"], id="spaces-and-hashes-are-passwords-too"
        ),
        pytest.param("さくら\n".encode(), ["さくら"], id="utf-8"),
        pytest.param("\ufeffone\r\nさくら\r\n".encode("utf-16-le"), ["one", "さくら"], id="utf-16-le"),
        pytest.param("\ufeffone\nさくら\n".encode("utf-16-be"), ["one", "さくら"], id="utf-16-be"),
        pytest.param("\ufeffone\ntwo".encode("utf-16-le")[:-1], ["one", "tw\ufffd"], id="utf-16-cut"),
        pytest.param(b"", [], id="empty"),
    ],
)
def test_word_lists_are_read(tmp_path, content, words):
    path = tmp_path / "words"
    path.write_bytes(content)
    assert list(read_words(path)) == words


def test_words_that_are_not_utf_8_are_tried_as_they_are(tmp_path):
    path = tmp_path / "words"
    path.write_bytes(b"caf\xe9\n")
    wanted = apop(b"<1@x>", b"caf\xe9")
    assert find("APOP", b"<1@x>", wanted, read_words(path))[1] == 1
    found = guess(leaked("APOP", wanted, challenge="<1@x>"), read_words(path))
    assert found is not None
    assert found.value.reveal() == r"caf\xe9"


def test_a_word_list_is_streamed(tmp_path):
    path = tmp_path / "words"
    path.write_bytes(b"first\n" + b"\xff" * 3_000_000)
    words = read_words(path)
    assert next(words) == "first"
    words.close()


@pytest.mark.parametrize("name", [pytest.param("missing", id="missing"), pytest.param(".", id="directory")])
def test_a_word_list_that_cannot_be_read_is_explained(tmp_path, name):
    with pytest.raises(WordListError, match=r"Cannot read the word list .+: .+\. Give a text file"):
        list(read_words(tmp_path / name))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
def test_a_word_list_that_can_be_read_only_once_is_refused(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(WordListError, match="only once"):
        list(read_words(path))


def test_a_word_list_without_line_ends_takes_no_memory(tmp_path):
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        assert {*map(len, read_words(path))} == {1 << 16}
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


# --- the lesson's arithmetic -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alphabet", "length", "rate", "seconds"),
    [
        pytest.param(10, 4, 10_000.0, 1.0, id="a-pin"),
        pytest.param(26, 0, 5.0, 0.2, id="no-password"),
        pytest.param(94, 12, 1e6, 94**12 / 1e6, id="a-strong-one"),
        pytest.param(94, 500, 1e6, math.inf, id="longer-than-numbers-go"),
    ],
)
def test_time_to_exhaust(alphabet, length, rate, seconds):
    assert seconds_to_exhaust(alphabet, length, rate) == pytest.approx(seconds)
