"""Whether each reader is spoken to in one language, in lines that fit and break where they may."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import catalogues
import denial
import lessons
import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from mailtap.capture.language import load
from mailtap.demo.telling.reader import Reader

LANGUAGES = ("en", "ja")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
# Words that no English sentence does without, and that no name, command or protocol here has.
ENGLISH = re.compile(
    r"\b(the|a|an|is|are|was|of|with|and|from|that|what|this|each|not|its?)\b", re.IGNORECASE
)
# What was on the wire is shown as it was: lines with a packet number, and the decoded mail.
ON_THE_WIRE = re.compile(r"^[▌ ] *#\d|┃")
PARTS = [(), ("demo",), ("capture",), ("servers",)]
PARTS_WITH_IDS = pytest.mark.parametrize("part", PARTS, ids=lambda part: " ".join(("mailtap", *part)))


def helped(part: tuple[str, ...], language: str) -> str:
    """Return what `--help` prints in a language."""
    done = subprocess.run(
        [sys.executable, "-c", "from mailtap.demo.command import main; main()", *part, "--help"],
        capture_output=True,
        env=lessons.environment(LANG=f"{language}.UTF-8"),
        timeout=lessons.TIMEOUT,
        check=True,
    )
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("part", "language"),
    [(part, language) for part in PARTS for language in LANGUAGES],
    ids=lambda each: each if isinstance(each, str) else " ".join(("mailtap", *each)),
)
def test_help_fits_80_columns(part: tuple[str, ...], language: str) -> None:
    assert [line for line in helped(part, language).splitlines() if wcswidth(line) > 80] == []


@PARTS_WITH_IDS
def test_help_is_in_the_readers_language(part: tuple[str, ...]) -> None:
    english, japanese = helped(part, "en"), helped(part, "ja")
    assert ENGLISH.search(english)
    assert not JAPANESE.search(english)
    assert JAPANESE.search(japanese)
    assert [line for line in japanese.splitlines() if ENGLISH.search(line)] == []


MISTAKES = [
    pytest.param(["demo"], "mailtap demo list", id="nothing named"),
    pytest.param(["demo", "plain", "--frobnicate"], "--frobnicate", id="no such option"),
    pytest.param(["demo", "plain", "--rung", "moon"], "relay", id="no such choice"),
    pytest.param(["demo", "plain", "--pcap"], "--pcap", id="no value"),
    pytest.param(["demo", "plain", "--mask=yes"], "--mask", id="a value too many"),
    pytest.param(["capture", "--jobs", "many", "x.pcap"], "'many'", id="no number"),
    pytest.param(["servers", "--plain", "--tls"], "--plain", id="two that exclude each other"),
]


@pytest.mark.parametrize(("arguments", "named"), MISTAKES)
def test_what_is_wrong_with_a_command_line_is_said_in_the_readers_language(
    arguments: list[str], named: str
) -> None:
    for language in LANGUAGES:
        done = subprocess.run(
            [sys.executable, "-c", "from mailtap.demo.command import main; exit(main())", *arguments],
            capture_output=True,
            env=lessons.environment(LANG=f"{language}.UTF-8"),
            timeout=lessons.TIMEOUT,
            check=False,
        )
        said = done.stderr.decode().splitlines()[-1]
        assert (done.returncode, done.stdout, named in said) == (2, b"", True)
        assert (bool(JAPANESE.search(said)), "error" in said) == (language == "ja", language == "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_wrong_with_a_command_line_fits_the_terminal(language: str) -> None:
    terminal, inside = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mailtap.demo", "compare", "plain", "plain", "--lang", language],
        stderr=inside,
        env=lessons.environment(COLUMNS="80"),
    ) as program:
        assert program.wait(lessons.TIMEOUT) == 2
    os.close(inside)
    said = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert [line for line in said.splitlines() if wcswidth(line) > 79] == []
    assert "mailtap demo compare plain tls" in " ".join(said.split())


@PARTS_WITH_IDS
def test_help_does_without_the_characters_that_a_terminal_lacks(part: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from mailtap.demo.command import main; main()", *part, "--help"],
        capture_output=True,
        env=lessons.environment(LANG="ja_JP.UTF-8", PYTHONIOENCODING="ascii"),
        timeout=lessons.TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"??" in done.stdout


@pytest.mark.skipif(not denial.can_filter(), reason="only where this test knows the system calls")
@pytest.mark.parametrize(
    ("language", "between"),
    [pytest.param("en", r"\. [A-Z]", id="en"), pytest.param("ja", "。[^ \n]", id="ja")],
)
def test_sentences_that_follow_each_other_are_set_as_the_language_sets_them(
    language: str, between: str
) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(denial.HERE)!r})\n"
        "import denial; denial.deny(['namespaces', 'packet-sockets'])"
    )
    told = lessons.tell_with(program, "plain", "--rung", "private-network", "--lang", language, COLUMNS="100")
    assert told.code == 3
    assert re.search(between, told.err)
    assert "。 " not in told.err


@pytest.mark.parametrize("what", ["list", "doctor", "plain"])
def test_a_terminal_is_spoken_to_in_its_own_encoding(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mailtap.demo", what, "--no-witness"],
        capture_output=True,
        env=lessons.environment(LANG="ja_JP.eucJP", PYTHONIOENCODING="euc_jp"),
        timeout=lessons.TIMEOUT,
        check=False,
    )
    assert done.returncode == 0
    assert JAPANESE.search(done.stdout.decode("euc_jp"))


@pytest.mark.parametrize("what", ["plain", "apop", "tls", "list", "matrix", "doctor"])
def test_no_english_sentence_is_left_in_japanese(what: str) -> None:
    def sentences(language: str) -> list[str]:
        told = lessons.tell(what, "--no-witness", "--lang", language).out
        lines = told.replace(sys.executable, "").splitlines()  # a folder may be called anything
        # What the operating system says, it says in its own language.
        lines = [line for line in lines if "[Errno" not in line]
        return [line for line in lines if ENGLISH.search(line) and not ON_THE_WIRE.search(line)]

    assert sentences("ja") == []
    assert sentences("en") or what == "list"  # the same search finds the English ones


def test_shows_an_encoded_login_in_japanese_without_cutting_it() -> None:
    told = lessons.tell("apop", "--lang", "ja", "--no-witness", COLUMNS="80")
    assert re.search(r"◀ ユーザー名 = hanako、ダイジェスト = [0-9a-f]{32}$", told.out, re.MULTILINE)


def translations() -> list[str]:
    """Return every Japanese message of one paragraph, as it stands in the catalogues."""
    found = []
    for package in catalogues.PACKAGES:
        with catalogues.catalogue_path(package, "ja").open("rb") as file:
            found += [str(message.string) for message in read_po(file) if message.id]
    return [text for text in found if "\n" not in text and text.strip()]


def assert_well_broken(text: str, width: int) -> None:
    """Assert that a text is whole after it was broken, in lines that fit and do not begin or end badly."""
    lines = [line.plain for line in Reader(load("ja"), width).wrapped(text)]
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert [line for line in lines if wcswidth(line) > width - 2] == []
    assert [line for line in lines[1:] if line[0] in "、。)」"] == []
    assert [line for line in lines[:-1] if line[-1] in "(「"] == []
    words = [word for word in re.findall("[!-~]+", text) if len(word) <= width - 2]
    assert [word for word in words if not any(word in line for line in lines)] == []


@pytest.mark.parametrize("width", [60, 80, 100])
def test_breaks_every_message_where_japanese_may_be_broken(width: int) -> None:
    for text in translations():
        assert_well_broken(text, width)


@given(
    st.lists(
        st.sampled_from(
            ["平", "文、", "メール", "った。", "(RFC 1939)", "「盗聴」", "も SMTP で", "over SSL/TLS"]
        ),
        max_size=60,
    ),
    st.integers(24, 60),
)
def test_breaks_any_mixture_of_words_and_kana(pieces: list[str], width: int) -> None:
    assert_well_broken("".join(pieces), width)
