"""The command `mailtap capture`: output, exit codes, streams, interruption."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import wire
from wcwidth import wcswidth

from mailtap.capture import progress
from mailtap.capture.__main__ import main

CHALLENGE = "<1896.697170952@dbc.mtview.ca.us>"
PLAIN = [
    ("S", b"+OK hello\r\n"),
    ("C", b"USER mrose\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"PASS tanstaaf\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"QUIT\r\n"),
    ("S", b"+OK\r\n"),
]


def apop(password: str) -> list[tuple[str, bytes]]:
    digest = hashlib.md5((CHALLENGE + password).encode()).hexdigest()
    return [
        ("S", f"+OK hello {CHALLENGE}\r\n".encode()),
        ("C", f"APOP mrose {digest}\r\n".encode()),
        *PLAIN[4:],
    ]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "session.pcap"
    path.write_bytes(wire.pcap(wire.conversation(PLAIN)))
    return path


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_table_for_people(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(capture), "--lang", "en"]) == 0
    out, err = capsys.readouterr()
    (flow,) = [line for line in out.splitlines() if "->" in line]
    assert re.fullmatch(r"1: [\d.]+:\d+ -> [\d.]+:110", flow)
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    assert cells[1:] == [
        ["1", "user name", "mrose", "USER/PASS", "yes", "6"],
        ["1", "password", "tanstaaf", "USER/PASS", "yes", "10"],
    ]
    assert err == ""


def test_a_password_of_digits_keeps_its_zeros(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "digits.pcap"
    turns = [(side, text.replace(b"tanstaaf", b"00710").replace(b"mrose", b"007")) for side, text in PLAIN]
    path.write_bytes(wire.pcap(wire.conversation(turns)))
    assert main([str(path)]) == 0
    assert " 00710 " in capsys.readouterr().out


def test_columns_line_up_in_japanese(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ja.pcap"
    turns = [(side, text.replace(b"tanstaaf", "ひみつ".encode())) for side, text in PLAIN]
    path.write_bytes(wire.pcap(wire.conversation(turns)))
    assert main([str(path), "--lang", "en"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "USER/PASS" in line]
    assert len(lines) == 2
    assert len({wcswidth(line[: line.index("USER/PASS")]) for line in lines}) == 1


def test_a_table_fits_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "long.pcap"
    turns = [(side, text.replace(b"tanstaaf", "ひみつ".encode() * 40)) for side, text in PLAIN]
    path.write_bytes(wire.pcap(wire.conversation(turns)))
    terminal, inside = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mailtap.capture", str(path)],
        stdout=inside,
        env={**os.environ, "COLUMNS": "80", "LANG": "C.UTF-8"},
    ) as program:
        assert program.wait(60) == 0
    os.close(inside)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert "ひみつ" in shown
    assert max(wcswidth(line) for line in shown.splitlines()) == 80


@pytest.mark.parametrize("columns", [30, 40, 60])
def test_a_terminal_too_narrow_for_the_table_gets_records(capture: Path, columns: int) -> None:
    terminal, inside = os.openpty()
    with subprocess.Popen(
        [*COMMAND, str(capture)],
        stdout=inside,
        env={**os.environ, "COLUMNS": str(columns), "LANG": "C.UTF-8"},
    ) as program:
        assert program.wait(60) == 0
    os.close(inside)
    shown = drained(terminal).decode().replace("\r", "")
    assert "╭" not in shown
    assert "\n\nflow: 1\nfield: password\nvalue: tanstaaf\nmechanism: USER/PASS\n" in shown
    assert [line for line in shown.splitlines()[1:] if wcswidth(line) > columns] == []


@pytest.mark.parametrize("name", ["holed.pcap", "-"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_notes_fit_the_terminal_and_break_in_no_address(name: str, language: str, tmp_path: Path) -> None:
    path = tmp_path / "holed.pcap"
    path.write_bytes(wire.pcap(wire.lose(wire.conversation(PLAIN), 4)))
    terminal, inside = os.openpty()
    with path.open("rb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "mailtap.capture", "--lang", language, path if name != "-" else name],
            stdin=stream,
            stdout=subprocess.DEVNULL,
            stderr=inside,
            env={**os.environ, "COLUMNS": "60", "LANG": "C.UTF-8"},
            check=False,
            timeout=60,
        )
    os.close(inside)
    shown = drained(terminal).decode()
    assert done.returncode == 1
    assert max(wcswidth(line) for line in shown.splitlines()) < 60
    assert len(shown.splitlines()) > 1
    for end in (wire.CLIENT, wire.SERVER):
        assert f"{end.address}:{end.port}" in shown


def test_what_the_system_says_is_in_the_readers_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for arguments in (
        [str(tmp_path)],
        [str(tmp_path / "absent")],
        ["--wordlist", str(tmp_path), "x.pcap"],
        ["--save", str(tmp_path / "file"), "x.pcap"],
    ):
        assert main(["--lang", "ja", *arguments]) == 2
        assert not re.search(r"directory|exists|Errno", capsys.readouterr().err.replace(str(tmp_path), ""))


def test_a_file_that_is_called_like_a_message_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subject").mkdir()
    (tmp_path / "body").touch()
    for arguments, name in (
        (["subject"], "subject"),
        (["--wordlist", "subject", "x.pcap"], "subject"),
        (["--save", "body", "x.pcap"], "body"),
    ):
        assert main(["--lang", "ja", *arguments]) == 2
        said = capsys.readouterr().err
        assert name in said
        assert re.search(r"フォルダーです|すでに存在", said)  # the reason is translated all the same


def test_json_lines(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(capture)]) == 0
    heard = records(capsys.readouterr().out)
    assert [(record["field"], record["value"], record["packets"]) for record in heard] == [
        ("username", "mrose", [6]),
        ("password", "tanstaaf", [10]),
    ]
    assert {record["file"] for record in heard} == {str(capture)}


def test_a_mask_leaves_no_password_anywhere(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--json"], []):
        assert main(["--mask", *options, str(capture)]) == 0
        out, err = capsys.readouterr()
        assert "tanstaaf" not in out + err
        assert "********" in out


def test_several_files_are_counted_apart(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = capture.with_suffix(".gz")
    packed.write_bytes(gzip.compress(capture.read_bytes()))
    assert main(["--json", str(capture), str(packed)]) == 0
    heard = records(capsys.readouterr().out)
    assert [record["file"] for record in heard] == [str(capture)] * 2 + [str(packed)] * 2
    assert {record["flow"] for record in heard} == {1}
    assert main([str(capture), str(packed)]) == 0
    assert f"== {packed}" in capsys.readouterr().out


def test_a_missing_file_is_named_and_the_others_are_read(
    capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = capture.with_name("absent.pcap")
    assert main(["--lang", "en", str(absent), str(capture)]) == 2
    out, err = capsys.readouterr()
    assert "tanstaaf" in out
    assert err == f"Cannot read {absent}: No such file or directory.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("how", ["{0}", "--json {0}", "--json --jobs 2 {0} {0}", "- < {0}", "--json - < {0}"])
def test_a_full_disk_is_not_blamed_on_the_capture(how: str, capture: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m mailtap.capture {how.format(capture)} > /dev/full",
        shell=True,
        stderr=subprocess.PIPE,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, b"mailtap: No space left on device\n")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_opens_and_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/proc/self/mem", "--lang", "en"]) == 2
    assert capsys.readouterr().err == "Cannot read /proc/self/mem: Input/output error.\n"


def test_damage_is_told_and_all_that_was_readable_too(
    capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture.write_bytes(capture.read_bytes()[:-5])
    assert main(["--lang", "en", str(capture)]) == 1
    out, err = capsys.readouterr()
    assert "tanstaaf" in out
    assert "The capture file ends within packet" in err
    assert main(["--json", str(capture)]) == 1
    last = records(capsys.readouterr().out)
    assert [record["note"][:33] for record in last if record["field"] is None] == [
        "The capture file ends within pack"
    ]


def test_nothing_leaked_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.pcap"
    path.write_bytes(wire.pcap([]))
    assert main(["--lang", "en", str(path)]) == 0
    out, err = capsys.readouterr()
    assert out == "Nothing leaked that this listener can hear.\nThe capture holds no packets.\n"
    assert err == "The capture holds no packets.\n"


def mail_session(*, login: bool) -> list[tuple[str, bytes]]:
    """Return a session in which a message is fetched."""
    fetch = [("C", b"RETR 1\r\n"), ("S", b"+OK\r\nSubject: plans\r\n\r\nhello\r\n.\r\n")]
    return [*(PLAIN[:5] if login else PLAIN[:1]), *fetch, *PLAIN[5:]]


def test_logins_only_are_the_same_logins_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "session.pcap"
    path.write_bytes(wire.pcap(wire.conversation(mail_session(login=True))))
    assert main([str(path), "--json"]) == 0
    everything = records(capsys.readouterr().out)
    assert main([str(path), "--json", "--logins"]) == 0
    logins = records(capsys.readouterr().out)
    assert logins == [each for each in everything if each["field"] in ("username", "password")]
    assert {each["field"] for each in everything} > {"subject", "body"}


def test_logins_only_does_not_call_a_message_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "session.pcap"
    path.write_bytes(wire.pcap(wire.conversation(mail_session(login=False))))
    assert main([str(path), "--logins", "--lang", "en"]) == 0
    assert "messages were not looked at" in capsys.readouterr().out


def test_why_nothing_was_heard_stands_below_the_table_and_aside(tmp_path: Path) -> None:
    path = tmp_path / "holed.pcap"
    path.write_bytes(wire.pcap(wire.lose(wire.conversation(PLAIN), 4)))
    program = [sys.executable, "-m", "mailtap.capture", str(path)]
    environment = {**os.environ, "LANG": "C.UTF-8"}
    apart = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert apart.stderr.startswith("A hole of 11 bytes in what the server sent, in packet range ")
    assert apart.stdout.endswith(apart.stderr)
    together = subprocess.run(
        program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False
    )
    assert together.stdout == apart.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "Give capture files to read", id="nothing"),
        pytest.param(["--live", "x.pcap"], "not both", id="live and files"),
        pytest.param(["-", "-"], "once only", id="standard input twice"),
        pytest.param(["--save", "x", "--logins", "x.pcap"], "one of the two", id="save and logins only"),
        pytest.param(["--jobs", "0", "--json", "x.pcap"], "1 or more", id="no jobs"),
        pytest.param(["--jobs", "-1", "x.pcap"], "1 or more", id="fewer than no jobs"),
        pytest.param(["--live", "--port", "0"], "from 1 to 65535", id="port 0"),
        pytest.param(["--live", "--port", "25", "--port", "99999"], "from 1 to 65535", id="no such port"),
        pytest.param(["--wordlist", "/absent", "x.pcap"], "/absent", id="no word list"),
    ],
)
def test_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lang", "en", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_option_is_usage_and_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--frobnicate"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "tcpdump -i lo -w - | mailtap capture -" in out
    assert "exit codes" in out


def test_an_interface_of_others_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lang", "en", "--live", "--interface", "eth0"]) == 3
    assert "eth0" in capsys.readouterr().err


# --- guessing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "guessed"),
    [
        pytest.param([], [], id="not in the bundled list"),
        pytest.param(["--wordlist", "words"], ["Xyzzy plugh 9"], id="own list"),
        pytest.param(["--wordlist", "words", "--no-guess"], [], id="no guessing"),
    ],
)
def test_a_digest_gives_up_a_password_in_the_list(
    options: list[str], guessed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, words = tmp_path / "apop.pcap", tmp_path / "words"
    path.write_bytes(wire.pcap(wire.conversation(apop("Xyzzy plugh 9"))))
    words.write_text("one\nXyzzy plugh 9\n")
    given = [str(words) if option == "words" else option for option in options]
    assert main(["--json", *given, str(path)]) == 0
    heard = records(capsys.readouterr().out)
    assert [record["field"] for record in heard][:2] == ["username", "digest"]
    assert [record["value"] for record in heard if record.get("guessed")] == guessed


def test_the_bundled_list_has_the_commonest_passwords(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "apop.pcap"
    path.write_bytes(wire.pcap(wire.conversation(apop("password"))))
    assert main(["--lang", "en", str(path)]) == 0
    assert "password (guessed)" in capsys.readouterr().out


def test_a_guessed_password_stands_below_its_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "both.pcap"
    path.write_bytes(wire.pcap(after_a_digest("password")))
    assert main(["--lang", "en", str(path)]) == 0
    cells = [line.split("│")[1:4] for line in capsys.readouterr().out.splitlines() if "│" in line]
    told = [tuple(cell.strip() for cell in row) for row in cells[1:]]
    assert [field for _, field, _ in told] == [
        *("user name", "digest", "password (guessed)"),
        *("user name", "password"),
    ]
    assert [value for *_, value in told][2::2] == ["password", "tanstaaf"]


# --- as a process ------------------------------------------------------------------------------------

needs_interrupts = pytest.mark.skipif(
    os.name == "nt", reason="Windows cannot send an interrupt to one process"
)
COMMAND = [sys.executable, "-m", "mailtap.capture", "--lang", "en"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "", **more}


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Return a word list that nobody gets to the end of while a test runs."""
    path = tmp_path / "endless"
    path.write_text("".join(f"nobody{number}\n" for number in range(1_000_000)))
    return path


def after_a_digest(password: str, digests: int = 1) -> list[wire.Packet]:
    """Return sessions with a digest, and after them one with a password in clear."""
    sessions = [*[apop(password)] * digests, PLAIN]
    heard = [
        packet
        for number, turns in enumerate(sessions)
        for packet in wire.conversation(turns, client=wire.CLIENT._replace(port=40_000 + number))
    ]
    return wire.renumber(heard)


@needs_interrupts
def test_no_login_is_told_later_for_a_digest_that_is_being_guessed(endless: Path) -> None:
    """The password after the digest is told while the guessing goes on, which an interrupt ends."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [*COMMAND, "--json", "--wordlist", str(endless), "-"]
    with subprocess.Popen(command, **pipes, env=environment()) as process:
        process.stdin.write(wire.pcap(after_a_digest("t9#Kf!2vQz@7")))
        process.stdin.flush()
        heard = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert [record["value"] for record in heard][::2] == ["mrose", "mrose"]
    assert heard[3]["value"] == "tanstaaf"
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_a_guessed_password_on_standard_input_comes_before_its_end() -> None:
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with subprocess.Popen([*COMMAND, "-"], **pipes, env=environment()) as process:
        process.stdin.write(wire.pcap(wire.conversation(apop("password"))))
        process.stdin.flush()
        told = [process.stdout.readline().decode() for _ in range(3)]
        process.stdin.close()
        assert process.wait(30) == 0
    assert "password (guessed)" in told[2]


@needs_interrupts
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_an_interrupt_of_the_guessing_loses_nothing_that_was_heard(endless: Path, tmp_path: Path) -> None:
    """The bar shows that everything was heard and is being guessed; then there is the interrupt."""
    path = tmp_path / "digests.pcap"
    path.write_bytes(wire.pcap(after_a_digest("t9#Kf!2vQz@7", digests=5)))
    seen, terminal = os.openpty()
    command = [*COMMAND, "--wordlist", str(endless), str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=terminal, env=environment(TERM="xterm")
    ) as process:
        os.close(terminal)
        shown = b""
        while b"Guessing passwords" not in shown:
            shown += os.read(seen, 4_096)
        process.send_signal(signal.SIGINT)
        with ThreadPoolExecutor(1) as reader:
            rest = reader.submit(drained, seen)
            out, _ = process.communicate(timeout=30)
            shown += rest.result()
    assert process.returncode == 130
    assert out.count(b"digest") == 5
    assert b"tanstaaf" in out
    assert b"Digests for which the guessing was not finished: 5." in shown
    assert b"Traceback" not in shown


def test_leaks_on_standard_input_come_before_its_end(capture: Path) -> None:
    """The pipe stays open until the password was printed: without that, this would wait for ever."""
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with subprocess.Popen([*COMMAND, "--json", "-"], **pipes, env=environment()) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(capture.read_bytes())
        process.stdin.flush()
        heard = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()
        assert process.wait(30) == 0
    assert [record["value"] for record in heard] == ["mrose", "tanstaaf"]
    assert {record["file"] for record in heard} == {"-"}


def long_capture(path: Path) -> Path:
    """Write a capture that is long enough for a bar: a session, and frames of no known kind."""
    heard = wire.conversation(PLAIN)
    junk = heard[-1]._replace(data=bytes(60_000), length=60_000)
    path.write_bytes(wire.pcap(heard))
    with path.open("ab") as file:
        file.write(wire.pcap([junk] * 8)[24:] * (progress.LONG // 480_000 + 1))
    return path


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
@pytest.mark.parametrize(
    ("arguments", "errors_on", "output_on", "bar"),
    [
        pytest.param([], "terminal", "pipe", True, id="a terminal"),
        pytest.param([], "terminal", "terminal", True, id="a terminal for both"),
        pytest.param(["--json"], "terminal", "pipe", True, id="lines into a pipe"),
        pytest.param(["--json"], "terminal", "terminal", False, id="lines on the same terminal"),
        pytest.param([], "pipe", "pipe", False, id="a pipe"),
        pytest.param(["--json"], "pipe", "terminal", False, id="errors in a pipe"),
    ],
)
def test_a_long_file_shows_a_bar_on_a_terminal_only(
    arguments: list[str], errors_on: str, output_on: str, bar: bool, tmp_path: Path
) -> None:
    path = long_capture(tmp_path / "long.pcap")
    command = [sys.executable, "-m", "mailtap.capture", *arguments, str(path)]
    shown, there = run_on(command, {"stdout": output_on, "stderr": errors_on})
    assert (b"100%" in shown) is bar
    assert b"tanstaaf" in there
    if errors_on == "terminal" and output_on == "pipe":
        assert b"%" not in there


def run_on(command: list[str], where: dict[str, str]) -> tuple[bytes, bytes]:
    """Run a program, its streams on a terminal or a pipe; return what came on errors', and on output's."""
    ends: dict[str, int] = {}
    files = {name: os.openpty() if kind == "terminal" else os.pipe()[::-1] for name, kind in where.items()}
    for name, (one, two) in files.items():
        terminal = where[name] == "terminal"
        ends[name] = one if terminal else two
        files[name] = (ends[name], two if terminal else one)
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, env=environment, **{name: files[name][1] for name in files}
    ) as program:
        for _, into in files.values():
            os.close(into)
        told = dict.fromkeys(ends, b"")
        with ThreadPoolExecutor(2) as readers:
            told |= dict(zip(ends, readers.map(drained, ends.values()), strict=True))
        assert program.wait(60) == 0
    return told["stderr"], told["stdout"]


def drained(end: int) -> bytes:
    """Return all that comes out of a pipe or a terminal."""
    parts = []
    try:
        while data := os.read(end, 65_536):
            parts.append(data)
    except OSError:  # how a terminal ends
        pass
    os.close(end)
    return b"".join(parts)


def test_jobs_tell_the_same_in_the_same_order(tmp_path: Path) -> None:
    names = []
    for number, turns in enumerate([PLAIN, apop("secret1"), [], mail_session(login=True)]):
        names.append(str(tmp_path / f"{number}.pcap"))
        whole = wire.pcap(wire.conversation(turns))
        (tmp_path / f"{number}.pcap").write_bytes(whole[:-9] if number == 3 else whole)
    names.insert(3, str(tmp_path / "absent.pcap"))
    runs = [
        subprocess.run(
            [sys.executable, "-m", "mailtap.capture", "--lang", "en", "--json", *more, *names],
            capture_output=True,
            check=False,
            timeout=60,
        )
        for more in ([], ["--jobs", "3"])
    ]
    one, several = runs
    assert one.stdout.count(b"tanstaaf") == 2
    assert one.stdout.count(b"guessed") == 1
    assert (one.returncode, one.stdout, one.stderr) == (several.returncode, several.stdout, several.stderr)


@needs_interrupts
def test_an_interrupt_ends_with_130_and_no_traceback(capture: Path) -> None:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([*COMMAND, "-"], **pipes, env=environment()) as process:
        process.stdin.write(capture.read_bytes())
        process.stdin.flush()
        assert b"mrose" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err


def speak_pop3(port: int) -> None:
    """Hold a conversation with oneself on the loopback interface."""
    with (
        socket.create_server(("127.0.0.1", port)) as listening,
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        server, _ = listening.accept()
        with server:
            for side, text in PLAIN:
                speaker, hearer = (client, server) if side == "C" else (server, client)
                speaker.sendall(text)
                assert hearer.recv(100) == text


@pytest.mark.skipif(os.name == "nt", reason="only where an interrupt can be sent to one process")
def test_what_crosses_the_loopback_interface_is_told_as_it_happens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    command = [*COMMAND, "--live", "--json", "--port", str(port)]
    with subprocess.Popen(command, **pipes, env=environment()) as process:
        said = process.stderr.readline()
        if b"Ctrl-C ends it" not in said:
            assert process.wait(30) == 3
            pytest.skip(f"only where the loopback interface may be listened to: {said.decode()}")
        speak_pop3(port)
        heard = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert [record["value"] for record in heard] == ["mrose", "tanstaaf"]
    assert "file" not in heard[0]
    assert b"Traceback" not in err


def test_a_reader_who_has_had_enough_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    many = [
        packet
        for number in range(400)
        for packet in wire.conversation(PLAIN, client=wire.CLIENT._replace(port=10_000 + number))
    ]
    path.write_bytes(wire.pcap(wire.renumber(many)))
    with subprocess.Popen(
        [*COMMAND, "--json", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_json_is_utf8_and_the_terminal_gets_question_marks_whatever_the_locale(tmp_path: Path) -> None:
    path = tmp_path / "ja.pcap"
    turns = [(side, text.replace(b"tanstaaf", "ひ\x1b[2J".encode())) for side, text in PLAIN]
    path.write_bytes(wire.pcap(wire.conversation(turns)))
    ascii_only = environment(PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    out = subprocess.run(
        [*COMMAND, "--json", path], stdout=subprocess.PIPE, env=ascii_only, check=True
    ).stdout
    assert json.loads(out.splitlines()[1])["value"] == "ひ\x1b[2J"
    assert b"\x1b" not in out
    assert "ひ".encode() in out
    out = subprocess.run([*COMMAND, path], stdout=subprocess.PIPE, env=ascii_only, check=True).stdout
    assert b" ?\\x1b[2J " in out
    assert b"\\u256d" not in out


def test_reading_a_file_loads_none_of_the_heavy_libraries(capture: Path) -> None:
    code = (
        "import sys; from mailtap.capture.__main__ import main; main(sys.argv[1:]);"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'scapy', 'pyshark', 'rich', 'asyncio'}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, "--json", capture], stdout=subprocess.PIPE, check=True
    ).stdout
    assert out.splitlines()[-1] == b"[]"


@pytest.mark.parametrize("name", ["text.pcap", "-"])
def test_what_could_not_be_read_is_never_called_quiet(name: str, tmp_path: Path) -> None:
    path = tmp_path / "text.pcap"
    path.write_text("PASS tanstaaf\r\n")
    with path.open("rb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "mailtap.capture", "--lang", "en", name if name == "-" else str(path)],
            stdin=stream,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert "Nothing leaked" not in done.stdout + done.stderr
    assert "was not read" in done.stdout + done.stderr
