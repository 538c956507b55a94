"""What `mailtap demo` prints, how it ends, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lessons
import pytest
from wcwidth import wcswidth

from mailtap.demo import cast
from mailtap.demo.scenarios import SCENARIOS

EVERY_NAME = [scenario.name for scenario in SCENARIOS]
NAMES = ("plain", "apop", "tls")  # of all the others, test_story_of_every_row looks at the story
EVERY_SCENARIO = pytest.mark.parametrize("name", NAMES)
FULL = Path("/dev/full")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


LOCALES = {"en": "C.UTF-8", "ja": "ja_JP.UTF-8"}


def story(what: str) -> list[str]:
    """Return the arguments that print a lesson for people; asking the witness of all of them takes long."""
    return [what, "--no-witness"] if what == "matrix" else [what]


@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("what", [*NAMES, "list", "matrix", "doctor"])
def test_fits_80_columns_and_is_safe_to_print(what: str, language: str) -> None:
    told = lessons.told(*story(what), LANG=LOCALES[language])
    assert told.code == 0
    too_wide = [line for line in told.out.splitlines() if wcswidth(line) > 80]
    assert too_wide == []
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", told.out)


@pytest.mark.parametrize("what", [*NAMES, "list", "matrix"])
def test_speaks_japanese_when_the_environment_does(what: str) -> None:
    english, japanese = (lessons.told(*story(what), LANG=locale).out for locale in LOCALES.values())
    assert japanese == "" or JAPANESE.search(japanese.splitlines()[0])
    for line in ("What the eavesdropper has now:", "As expected", "Why:", "Advice:", "no countermeasure"):
        assert line not in japanese
    assert "eavesdropper" not in japanese
    assert english != japanese


@EVERY_SCENARIO
def test_the_story_shows_who_speaks_and_what_leaks(name: str) -> None:
    told = lessons.told(name, LANG=LOCALES["en"])
    assert "C: " in told.out
    assert "S: " in told.out
    assert "As expected" in told.out
    assert "▌" in told.out
    assert "◀" in told.out
    assert cast.SUBJECT in told.out or name == "tls"
    assert "TLS handshake, ClientHello" in told.out or name != "tls"


@EVERY_SCENARIO
def test_masks_every_password_and_digest(name: str) -> None:
    secrets = {
        leak["value"]
        for leak in lessons.tell(name, "--json", "--no-witness").leaks
        if leak["field"] in ("password", "token")
    } | {cast.HANAKO.password, cast.TARO.password, "AGhhbmFrbwBzYWt1cmEyMDI0"}
    masked = lessons.tell(name, "--mask", "--json")
    for told in (lessons.told(name, "--no-witness", "--mask"), masked):
        assert not [secret for secret in secrets if secret in told.out]
    assert {leak["value"] for leak in masked.leaks if leak["field"] in ("password", "digest")} <= {"********"}


@pytest.mark.parametrize(
    ("name", "field"), [("plain", "password"), ("apop", "digest"), ("apop", "password (guessed)")]
)
def test_two_secrets_are_two_behind_a_mask_as_well(name: str, field: str) -> None:
    rows = [
        [line for line in lessons.told(name, "--no-witness", *mask).out.splitlines() if f"│ {field} " in line]
        for mask in ([], ["--mask"])
    ]
    assert [len(lines) for lines in rows] == [2, 2]


def in_terminal(*arguments: str, **changes: str) -> str:
    """Run the demo in a terminal of its own, and return what appeared there."""
    terminal, inside = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "mailtap.demo", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=inside,
        stderr=inside,
        env=lessons.environment(TERM="xterm-256color", COLUMNS="80", **changes),
    )
    os.close(inside)
    shown = bytearray()
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:  # how Linux says that the other side has closed
        pass
    os.close(terminal)
    assert program.wait(lessons.TIMEOUT) == 0
    return shown.decode()


def test_colours_a_terminal_and_nothing_else() -> None:
    coloured = in_terminal("plain", "--no-witness")
    assert ESCAPE.search(coloured)
    assert not ESCAPE.search(lessons.tell("plain", "--no-witness").out)
    uncoloured = in_terminal("plain", "--no-witness", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|4[0-7]|9[0-7])m", uncoloured)


def test_shows_on_a_terminal_how_far_the_matrix_is() -> None:
    shown = in_terminal("matrix", "--no-witness")
    for done in (0, len(EVERY_NAME)):
        assert f"{done}/{len(EVERY_NAME)}" in ESCAPE.sub("", shown)


def test_unknown_scenario_gets_the_list() -> None:
    told = lessons.tell("telepathy")
    assert told.code == 2
    assert "'telepathy'" in told.err
    for name in EVERY_NAME:
        assert re.search(rf"^  {name}  ", told.err, re.MULTILINE)
    assert "'telepathy'" in told.err.splitlines()[-1], "it is still on a screen of 24 lines"
    assert told.out == ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("plan", "plain"), ("tsl", "tls"), ("impostor", "impostor-unverified"), ("APOP", "apop")],
)
@pytest.mark.parametrize("language", LOCALES)
def test_a_slip_of_the_finger_gets_the_likely_scenario(typed: str, meant: str, language: str) -> None:
    told = lessons.tell(typed, "--lang", language)
    assert (told.code, told.out) == (2, "")
    assert len(told.err.splitlines()) <= 2
    assert f"'{typed}'" in told.err
    assert re.search(rf"[ 。]{meant}\b", told.err)


def test_a_missing_word_list_is_found_out_before_anything_runs(tmp_path: Path) -> None:
    told = lessons.tell("apop", "--wordlist", tmp_path / "none.txt")
    assert (told.code, told.out) == (2, "")
    assert "none.txt" in told.err


def test_own_words_are_tried_and_a_strong_password_stands(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("nothing-like-it\n")
    told = lessons.tell("apop", "--wordlist", words, "--json", "--no-witness")
    assert told.code == 0
    assert not [leak for leak in told.leaks if leak.get("guessed")]
    words.write_text("sakura2024\r\nfujisan2023\r\n")
    told = lessons.tell("apop", "--wordlist", words, "--json", "--no-witness")
    assert len([leak for leak in told.leaks if leak.get("guessed")]) == 2


@pytest.mark.parametrize("what", [["apop"], ["compare", "plain", "apop"]], ids=" ".join)
def test_where_no_word_fits_nothing_was_found_all_the_same(what: list[str], tmp_path: Path) -> None:
    (words := tmp_path / "words.txt").touch()
    for language, said, denied in (
        ("en", "No word fitted this time.", "found all the same"),
        ("ja", "今回は、合う単語がありませんでした。", "見つかってしまいました"),
    ):
        told = lessons.tell(*what, "--wordlist", words, "--no-witness", "--lang", language, COLUMNS="120")
        assert (told.code, said in told.out, denied in told.out) == (0, True, False)


@pytest.mark.parametrize("option", ["--pcap", "--keys"])
def test_an_unwritable_file_is_named(option: str, tmp_path: Path) -> None:
    told = lessons.tell("tls", option, tmp_path / "missing" / "x.pcapng", "--no-witness")
    assert (told.code, told.out) == (2, ""), "found out before anything runs"
    assert "missing" in told.err
    assert "Traceback" not in told.err


def test_one_file_cannot_be_both_captures(tmp_path: Path) -> None:
    (tmp_path / "y").symlink_to("x")
    for other in (tmp_path / "x", tmp_path / "y"):
        told = lessons.tell("tls", "--pcap", tmp_path / "x", "--keys", other, "--no-witness")
        assert (told.code, told.out) == (2, "")
        assert "--pcap and --keys both name" in told.err
    assert {path.name for path in tmp_path.iterdir()} == {"y"}


def test_each_scenario_of_a_matrix_keeps_a_capture_of_its_own(tmp_path: Path) -> None:
    told = lessons.tell(
        "matrix", "--no-witness", "--pcap", tmp_path / "x.pcap", "--keys", tmp_path / "y.pcapng"
    )
    assert told.code == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"x-{name}.pcap" for name in EVERY_NAME} | {f"y-{name}.pcapng" for name in EVERY_NAME}


@pytest.mark.parametrize(
    ("name", "magic"),
    [
        pytest.param("x.pcap", b"\x4d\x3c\xb2\xa1", id="pcap"),
        pytest.param("x.pcapng", b"\x0a\x0d\x0d\x0a", id="pcapng"),
        pytest.param("x.png", b"\x4d\x3c\xb2\xa1", id="any other name is pcap"),
    ],
)
def test_the_name_says_the_format(name: str, magic: bytes, tmp_path: Path) -> None:
    assert lessons.tell("plain", "--no-witness", "--pcap", tmp_path / name).code == 0
    assert (tmp_path / name).read_bytes()[:4] == magic


ERRORS = {
    "a missing word list": ["apop", "--wordlist", "/nonexistent/words"],
    "a missing folder": ["plain", "--pcap", "/nonexistent/x.pcap"],
    "an unknown scenario": ["telepathy"],
}


@pytest.mark.parametrize("arguments", ERRORS.values(), ids=ERRORS)
def test_errors_are_told_in_japanese(arguments: list[str]) -> None:
    told = lessons.tell(*arguments, "--lang", "ja")
    assert told.code == 2
    assert JAPANESE.search(told.err.splitlines()[0])
    assert not re.search(r"\b(Cannot|Give|There|its)\b", told.err)


HOSTILE = """
from mailtap.demo import lesson
def refuse(rung):
    from mailtap.servers import Holder, PortTaken
    raise PortTaken("127.0.0.1", 110, Holder("\\x1b]0;owned\\x07\\u202e", 1))
lesson.ladder.enter = refuse
"""


def test_why_the_servers_do_not_start_is_told_in_japanese() -> None:
    told = lessons.tell_with(HOSTILE, "plain", "--lang", "ja", COLUMNS="100")
    assert told.code == 1
    assert "(プロセス 1)が使っています。" in told.err
    assert not re.search("taken|process", told.err)


def test_what_others_named_never_reaches_the_terminal_raw() -> None:
    told = lessons.tell_with(HOSTILE, "plain")
    assert told.code == 1
    assert "owned" in told.err
    assert not re.search("[\x1b\x07\u202e]", told.err)


@pytest.mark.parametrize("arguments", [["plain", "--no-witness"], ["plain", "--json"], ["list"], ["--help"]])
def test_a_reader_who_has_had_enough_hears_no_complaint(arguments: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mailtap.demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=lessons.environment(),
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        err = program.stderr.read().decode()
        program.wait(lessons.TIMEOUT)
    assert lessons.complaints(err) == ""


@pytest.mark.skipif(not FULL.exists(), reason="only where there is a /dev/full")
def test_a_full_disk_is_said_in_one_line() -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mailtap.demo", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=lessons.environment(),
            check=False,
            timeout=lessons.TIMEOUT,
        )
    assert done.returncode == 1
    assert done.stderr == b"mailtap: No space left on device\n"


@pytest.mark.parametrize(
    "closed", [pytest.param(">&-", id="output"), pytest.param("<&- >&- 2>&-", id="everything")]
)
def test_a_closed_stream_is_no_error(closed: str, tmp_path: Path) -> None:
    kept = tmp_path / "x.pcap"
    for what in ("mailtap.demo plain --no-witness --pcap", "mailtap.capture"):
        done = subprocess.run(
            f"{sys.executable} -m {what} {kept} {closed}",
            shell=True,
            env=lessons.environment(),
            capture_output=True,
            check=False,
            timeout=lessons.TIMEOUT,
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert kept.read_bytes()[:4] == b"\x4d\x3c\xb2\xa1"


def test_waits_for_enter_between_the_parts() -> None:
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mailtap.demo", "plain", "--step", "--no-witness"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=lessons.environment(TERM="xterm-256color", COLUMNS="80"),
    ) as program:
        os.close(inside)
        shown, pauses = b"", 0
        try:
            while piece := os.read(terminal, 65536):
                shown += piece
                while shown.count("… Enter …".encode()) > pauses:
                    if not pauses:
                        assert b"Hanako sends" not in shown, "the first pause comes before the first hop"
                    pauses += 1
                    os.write(terminal, b"\n")
        except OSError:
            pass
        assert program.wait(lessons.TIMEOUT) == 0
    os.close(terminal)
    assert pauses == 4
    assert "As expected" in shown.decode()


def test_the_last_lines_say_whose_password_it_is() -> None:
    for name in ("plain", "apop"):
        assert "Hanako's password is sakura2024." in lessons.told(name, "--no-witness").out.splitlines()
        assert (
            "Hanako's password is ********." in lessons.told(name, "--no-witness", "--mask").out.splitlines()
        )
    assert "password is" not in lessons.told("tls", LANG=LOCALES["en"]).out


def test_the_matrix_says_that_a_digest_gave_the_password_away() -> None:
    rows = [
        line
        for line in lessons.told(*story("matrix"), LANG=LOCALES["en"]).out.splitlines()
        if line.startswith("apop ")
    ]
    assert "(SF)" in rows[0]
    summaries = lessons.told("matrix", "--json").summaries
    guessed = {each["scenario"]: each["guessed"] for each in summaries}
    assert guessed["apop"] == {"submit": ["password"], "fetch": ["password"]}
    assert guessed["plain"] == guessed["tls"] == {}


DISAGREE = """
from mailtap.demo import lesson
from mailtap.capture.witness import Verdict, Agreement, Note
lesson.second_opinion = lambda outcome: Verdict(agreement=Agreement.DISAGREES, reason=Note(text="it heard more"))
"""


def test_a_witness_that_disagrees_fails_the_run() -> None:
    told = lessons.tell_with(DISAGREE, "plain")
    assert told.code == 1
    assert "it heard more" in told.out
    (summary,) = lessons.tell_with(DISAGREE, "plain", "--json").summaries
    assert (summary["witness"], summary["ok"]) == ("disagrees", False)
    matrix = lessons.tell_with(DISAGREE, "matrix")
    assert matrix.code == 1
    assert "it heard more" in matrix.out


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_the_witness_is_asked_and_agrees() -> None:
    assert {each["scenario"]: each["witness"] for each in lessons.told("matrix", "--json").summaries} == {
        **dict.fromkeys(EVERY_NAME, "agrees"),
        "webmail-http": "absent",
    }
    assert "agrees on every login" in lessons.told("plain", LANG=LOCALES["en"]).out
    assert "found no login and no password either" in lessons.told("tls", LANG=LOCALES["en"]).out
    assert "No second opinion: the second witness, tshark, does not read" in lessons.told("webmail-http").out


def test_webmail_in_japanese_leaks_what_webmail_in_english_leaks() -> None:
    def leaks(language: str) -> list[tuple[str, ...]]:
        told = lessons.told("webmail-http", "--json", "--no-witness", "--lang", language)
        assert told.code == 0
        names = ("hop", "protocol", "mechanism", "field", "source", "username", "filename")
        return [tuple(str(leak.get(name)) for name in (*names, "value")) for leak in told.leaks]

    assert leaks("ja") == leaks("en")
    page = lessons.told("webmail-http", "--no-witness", "--lang", "ja").out
    assert '<tr><td>件名</td><td class="header subject">' in page


def test_without_tshark_the_witness_says_so_in_one_line() -> None:
    told = lessons.tell("plain", PATH="/nonexistent")
    assert told.code == 0
    assert len([line for line in told.out.splitlines() if "tshark" in line]) == 1
    (summary,) = lessons.tell("plain", "--json", PATH="/nonexistent").summaries
    assert (summary["witness"], summary["ok"]) == ("absent", True)


def test_matrix_tells_every_scenario() -> None:
    told = lessons.told("matrix", "--json")
    assert told.code == 0
    assert [summary["scenario"] for summary in told.summaries] == EVERY_NAME
    shown = lessons.told(*story("matrix"), LANG=LOCALES["en"]).out
    for name in EVERY_NAME:
        assert re.search(rf"^{name} ", shown, re.MULTILINE)


def test_the_command_mailtap_leads_to_its_parts() -> None:
    def mailtap(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from mailtap.demo.command import main; sys.exit(main())",
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=lessons.TIMEOUT,
        )

    assert mailtap("--help").returncode == 0
    assert mailtap("--version").stdout.startswith("mailtap ")
    assert mailtap().returncode == 2
    unknown = mailtap("sniff")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "'sniff'" in unknown.stderr
    for part in ("demo", "capture", "servers"):
        helped = mailtap(part, "--help")
        assert helped.returncode == 0
        assert f"mailtap {part}" in helped.stdout
    (summary,) = [
        json.loads(line) for line in mailtap("demo", "tls", "--json").stdout.splitlines() if '"ok"' in line
    ]
    assert summary["ok"]
