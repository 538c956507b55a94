"""Digests are guessed in processes aside: in vain or not, quickly or not, and whatever happens to them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest
from daemons import until

from mailtap.capture import guessers
from mailtap.capture.guess import WordListError
from mailtap.capture.guessers import Guessers
from mailtap.capture.model import Direction, Endpoint, Evidence, Field, Flow, Leak, Protocol, Secret, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHALLENGE = "<1896.697170952@lab.example>"
STRONG = "t9#Kf!2vQz@7"
LONG = 60.0  # seconds after which something that is waited for will never come
FLOW = Flow(1, Endpoint("127.0.0.1", 47206), Endpoint("127.0.0.1", 110))


def leak(field: Field, value: str, **more: str) -> Leak:
    evidence = Evidence(FLOW, (Span(Direction.CLIENT, 11, 43),), (6,), 7)
    common = {"username": "taro", "accepted": True}
    return Leak(field=field, value=Secret(value), protocol=Protocol.POP3, evidence=evidence, **common, **more)


def digest(password: str, mechanism: str = "APOP") -> Leak:
    value = hashlib.md5((CHALLENGE + password).encode()).hexdigest()
    return leak(Field.DIGEST, value, mechanism=mechanism, challenge=CHALLENGE)


def values(guesses: list[Leak]) -> list[str]:
    return [guess.value.reveal() for guess in guesses]


def nothing() -> None:
    """Do nothing when something was found."""


@pytest.fixture
def begin() -> Iterator[Callable[..., Guessers]]:
    """Begin guessing as asked for, and end it."""
    begun = []

    def one(wordlist: Path | None = None, at_once: int = 2, found: Callable[[], None] = nothing) -> Guessers:
        begun.append(Guessers(None if wordlist is None else str(wordlist), at_once, found))
        return begun[-1]

    yield one
    for each in begun:
        each.close()


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Return a word list that nobody gets to the end of while a test runs, but for its last words."""
    path = tmp_path / "endless"
    path.write_text("".join(f"nobody{number}\n" for number in range(2_000_000)))
    return path


@pytest.fixture
def hurried(tmp_path: Path) -> Path:
    path = tmp_path / "words"
    path.write_text("one\nXyzzy plugh 9\n")
    return path


def children() -> list[psutil.Process]:
    """Return the guessers that this process has begun and that have not ended."""
    return [child for child in psutil.Process().children() if is_guesser(child)]


def is_guesser(process: psutil.Process) -> bool:
    try:
        return "mailtap.capture.guessers" in process.cmdline()
    except psutil.Error:  # it has ended since
        return False


def one_child() -> psutil.Process:
    """Return the guesser, once it is there."""
    until(lambda: bool(children()))
    return children()[0]


def test_passwords_come_in_the_order_of_their_digests(begin: Callable[..., Guessers]) -> None:
    guessing = begin()
    for password in ("sakura2024", STRONG, "password", "Letmein1!"):
        guessing.hear(digest(password))
    assert guessing.wait(LONG) == 0
    assert values(guessing.found()) == ["sakura2024", "password", "Letmein1!"]
    assert guessing.found() == []
    assert guessing.left == 0


def test_each_is_told_of_when_it_is_found(begin: Callable[..., Guessers], hurried: Path) -> None:
    told = threading.Event()
    guessing = begin(hurried, found=told.set)
    guessing.hear(digest("Xyzzy plugh 9"))
    assert told.wait(LONG)
    (found,) = guessing.found()
    assert (found.field, found.guessed, found.mechanism) == (Field.PASSWORD, True, "APOP")


@pytest.mark.parametrize(
    ("before", "found"),
    [
        pytest.param([leak(Field.PASSWORD, STRONG)], [STRONG], id="heard in clear"),
        pytest.param([leak(Field.PASSWORD, STRONG)] * 20, [STRONG], id="heard many times"),
        pytest.param([leak(Field.PASSWORD, "another")], [], id="another password"),
        pytest.param([], [], id="never heard"),
    ],
)
def test_a_password_of_the_same_user_is_tried_first(
    before: list[Leak], found: list[str], begin: Callable[..., Guessers], hurried: Path
) -> None:
    guessing = begin(hurried)
    for heard in (*before, digest(STRONG)):
        guessing.hear(heard)
    assert guessing.wait(LONG) == 0
    assert values(guessing.found()) == found


def test_only_a_few_passwords_of_a_user_are_remembered(begin: Callable[..., Guessers], hurried: Path) -> None:
    guessing = begin(hurried)
    for heard in (STRONG, *(f"{number}" for number in range(8))):
        guessing.hear(leak(Field.PASSWORD, heard))
    guessing.hear(digest(STRONG))
    guessing.hear(digest("7"))
    assert guessing.wait(LONG) == 0
    assert values(guessing.found()) == ["7"]


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "NTLM", "SCRAM-SHA-256"])
def test_what_cannot_be_guessed_starts_nothing(mechanism: str, begin: Callable[..., Guessers]) -> None:
    guessing = begin()
    guessing.hear(digest(STRONG, mechanism))
    assert (guessing.wait(LONG), guessing.left, children()) == (0, 0, [])


def test_a_guesser_that_is_killed_is_done_without(begin: Callable[..., Guessers], endless: Path) -> None:
    guessing = begin(endless, at_once=1)
    guessing.hear(digest("nobody3"))
    guessing.hear(digest("nobody4"))
    one_child().kill()
    assert guessing.wait(LONG) == 0
    assert values(guessing.found()) == ["nobody3", "nobody4"]


def test_where_no_process_can_begin_words_are_tried_here(
    begin: Callable[..., Guessers], hurried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nosuch/python")
    guessing = begin(hurried)
    guessing.hear(digest("Xyzzy plugh 9"))
    assert guessing.wait(LONG) == 0
    assert values(guessing.found()) == ["Xyzzy plugh 9"]


def test_a_word_list_that_is_gone_is_a_problem_and_no_wait(
    begin: Callable[..., Guessers], tmp_path: Path
) -> None:
    guessing = begin(tmp_path / "gone", at_once=1)
    for password in ("one", "two"):
        guessing.hear(digest(password))
    assert guessing.wait(LONG) == 0
    assert isinstance(guessing.problem, WordListError)
    assert (guessing.found(), guessing.left) == ([], 2)


def test_who_has_had_enough_waits_for_nobody(begin: Callable[..., Guessers], endless: Path) -> None:
    guessing = begin(endless, at_once=1)
    for password in (STRONG, "nobody1"):
        guessing.hear(digest(password))
    child = one_child()
    assert guessing.wait(0) == 2
    guessing.close()
    assert not child.is_running()
    assert (guessing.found(), guessing.left) == ([], 2)


def test_more_digests_than_may_wait_are_counted(
    begin: Callable[..., Guessers], endless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guessers, "_MOST_WAITING", 2)
    guessing = begin(endless, at_once=1)
    for _ in range(5):
        guessing.hear(digest(STRONG))
    assert (guessing.wait(0), guessing.left) == (2, 5)


@pytest.mark.parametrize("begun", [True, False], ids=["in the middle of a guess", "before any"])
def test_a_guesser_ends_with_its_input(begun: bool, endless: Path) -> None:
    command = [sys.executable, "-P", "-m", "mailtap.capture.guessers", str(endless)]
    question = ["APOP", CHALLENGE, digest(STRONG).value.reveal(), "taro"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        if begun:
            process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.close()
        assert process.wait(LONG) == 0


def test_there_is_a_processor() -> None:
    assert 1 <= guessers.processors() <= (os.cpu_count() or 1)
