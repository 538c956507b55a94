"""Several processes that share a capture file out tell what one alone tells: the same, in the same order."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import sys
from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import pytest
import wire
from crowds import crowd
from features import FEATURES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import captures
from mailtap.capture import share, shares, silence
from mailtap.capture.__main__ import DAMAGED, DONE, USAGE, main
from mailtap.capture.files import bytestream
from mailtap.capture.model import Endpoint, Leak
from mailtap.capture.pipeline import Listener
from mailtap.capture.share import Work
from mailtap.capture.sources import handfuls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mailtap.capture.model import Packet
    from mailtap.capture.shares import Item

FLAWS = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LAPSES_NS = (40_000, 900_000_000, 2_000_000_000, 3_600_000_000_000)
"""Between two packets: as a rule; less and more than what is waited for; longer than a connection may be silent."""


def told_by_one(file: Path, *, logins: bool = False) -> list[Item]:
    told: list[Item] = []
    listener = Listener(None if logins else told.append, logins_only=logins)
    for heard in chain(map(listener.hear_together, handfuls(file)), [listener.end()]):
        for item in heard:
            told.append(item)  # noqa: PERF402  # each after the message that it belongs to
    return told + list(silence.of_capture(listener.sums))


def told_by_several(file: Path, count: int, *, logins: bool = False) -> list[Item]:
    """Return the same from several shares, each of which is heard here."""
    work = Work(str(file), 0, count, logins=logins, mails=True)
    each = [share.hear(work._replace(number=number)) for number in range(count)]
    return [item for heard in shares.join(each) for item in heard.items]


def assert_the_same(file: Path) -> list[Item]:
    alone = told_by_one(file)
    for count in (2, 5):
        assert told_by_several(file, count) == alone
        assert told_by_several(file, count, logins=True) == told_by_one(file, logins=True)
    return alone


def with_lapses(packets: Sequence[Packet], chance: random.Random) -> list[Packet]:
    """Return the packets with other times: now and then much passes."""
    time_ns = 0
    later = []
    for packet in packets:
        time_ns += chance.choice(LAPSES_NS) if chance.random() < 0.03 else LAPSES_NS[0]
        later.append(packet._replace(time_ns=time_ns))
    return later


@pytest.mark.parametrize("write", [wire.pcap, wire.pcapng])
def test_every_feature(write: object, tmp_path: Path) -> None:
    assert callable(write)
    ethernet = [each for feature in FEATURES for each in feature.packets() if each.link_type == wire.ETHERNET]
    file = tmp_path / "features"
    file.write_bytes(write(wire.renumber(ethernet)))
    assert sum(isinstance(item, Leak) for item in assert_the_same(file)) > 20


@given(seed=st.integers(0, 2**32), read_size=st.sampled_from([1 << 20, 4096, 300]))
@FLAWS
def test_a_crowd_with_losses_and_lapses(seed: int, read_size: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    packets = with_lapses([each for each in crowd(seed) if chance.random() > 0.01], chance)
    for number in range(len(packets)):
        if chance.random() < 0.003:
            data = bytearray(packets[number].data)
            data[chance.randrange(len(data))] = chance.randrange(256)
            packets[number] = packets[number]._replace(data=bytes(data))
    file = tmp_path / "crowd"
    file.write_bytes(wire.pcap(packets, nano=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytestream, "READ_SIZE", read_size)
        assert_the_same(file)


def test_what_waits_is_given_up_by_the_time_of_any_packet(tmp_path: Path) -> None:
    """A second after a hole, what stands behind it is told, were all that comes then passed over."""
    login = [
        ("S", b"* OK IMAP\r\n"), ("C", b"a NOOP\r\n"), ("S", b"a OK\r\n"),
        ("C", b"b LOGIN bob hunter2\r\n"), ("S", b"b OK\r\n"),
    ]  # fmt: skip
    mail = [each for each in wire.conversation(login, fin=False) if not each.data.endswith(b"a OK\r\n")]
    web = wire.conversation(
        [("C", b"\x16\x03\x01" + bytes(200)), *[("S", bytes(1000))] * 50],
        client=Endpoint("192.0.2.7", 40_000),
        server=Endpoint("192.0.2.1", 443),
        fin=False,
    )
    packets = wire.renumber([*web[:20], *mail, *web[20:]])
    packets = [packet._replace(time_ns=packet.number * 200_000_000) for packet in packets]
    listener = Listener()
    leaking = [
        packet.number for packet in packets if any(isinstance(item, Leak) for item in listener.feed(packet))
    ]
    (told_at,) = leaking
    assert 20 + len(mail) < told_at <= 20 + len(mail) + 6
    file = tmp_path / "capture"
    file.write_bytes(wire.pcap(packets, nano=True))
    assert_the_same(file)


# --- the command ---------------------------------------------------------------------------------------


CHALLENGE = "<1896.697170952@dbc.mtview.ca.us>"


def by_apop(name: str, client: int) -> list[Packet]:
    """Return a login of somebody whose password is `tanstaaf`."""
    digest = hashlib.md5(f"{CHALLENGE}tanstaaf".encode()).hexdigest()
    turns = [("S", f"+OK {CHALLENGE}\r\n"), ("C", f"APOP {name} {digest}\r\n"), ("S", "+OK\r\n")]
    return wire.conversation(
        [(who, text.encode()) for who, text in turns], client=Endpoint(f"192.0.2.{client}", 40_000)
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture that is large enough to be shared out."""
    file = captures.generate(tmp_path_factory.mktemp("large"), 9, seed=3).path
    logins = wire.pcap([*by_apop("mrose", 10), *by_apop("taro", 11), *by_apop("hanako", 12)])
    file.write_bytes(file.read_bytes() + logins[24:])  # without the second file's header
    assert shares.is_worth_it(str(file))
    return file


def told(file: Path, *options: str) -> tuple[int, bytes, bytes]:
    command = [sys.executable, "-m", "mailtap.capture", "--lang", "en", *options, str(file)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "options",
    [["--json"], ["--json", "--mask", "--no-guess"], ["--json", "--logins"], ["--logins"], ["--no-guess"]],
    ids=" ".join,
)
def test_the_command_prints_the_same(options: list[str], large: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("tanstaaf")
    one = told(large, *options, "--wordlist", str(words))
    assert one[0] == DONE
    assert one[1].count(b"\n") > 400
    assert one[1].count(b"guessed") == (0 if "--no-guess" in options else 3)
    assert told(large, *options, "--jobs", "3", "--wordlist", str(words)) == one


def test_the_command_keeps_the_same(large: Path, tmp_path: Path) -> None:
    one, several = tmp_path / "one", tmp_path / "several"
    assert told(large, "--no-guess", "--save", str(one))[0] == DONE
    assert told(large, "--no-guess", "--save", str(several), "--jobs", "2")[0] == DONE
    kept = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (one, several)]
    assert len(kept[0]) > 100
    assert kept[0] == kept[1]


def test_a_damaged_file_is_told_of_once(large: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(large.read_bytes()[:-9])
    one = told(cut, "--json", "--no-guess", "--logins")
    assert one[0] == DAMAGED
    assert one[1].count(b"The capture file ends within packet") == 1
    assert told(cut, "--json", "--no-guess", "--logins", "--jobs", "2") == one


@pytest.mark.parametrize("lines", [True, False])
def test_several_large_files(lines: bool, large: Path) -> None:
    """Lines come from several files at once, each with its part of the processes; tables one after the other."""
    options = ["--no-guess", "--logins", *(["--json"] if lines else [])]
    assert told(large, *options, "--jobs", "4", str(large)) == told(large, *options, str(large))


# --- processes -----------------------------------------------------------------------------------------


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Return the processes that are begun, in time."""
    processes: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen.__init__

    def remember(process: subprocess.Popen[bytes], *args: object, **options: object) -> None:
        processes.append(process)
        begin(process, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "__init__", remember)
    return processes


def test_no_process_is_left_when_nobody_wants_to_know_more(
    large: Path, begun: list[subprocess.Popen[bytes]]
) -> None:
    with closing(shares.hear(Work(str(large), 0, 3))) as heard:
        assert next(heard).items
        assert [process.returncode for process in begun] == [None] * 3
    assert all(process.returncode is not None for process in begun)


def test_no_process_is_left_after_an_interrupt(large: Path, begun: list[subprocess.Popen[bytes]]) -> None:
    heard = shares.hear(Work(str(large), 0, 2))
    next(heard)
    with pytest.raises(KeyboardInterrupt):
        heard.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert len(begun) == 2
    assert all(process.returncode is not None for process in begun)


def test_a_process_ends_with_whoever_reads_it(large: Path) -> None:
    work = json.dumps(Work(str(large), 0, 2)._asdict())
    command = [sys.executable, "-m", "mailtap.capture.shares", work]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


def test_a_process_that_dies_is_told_of(
    large: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    genuine = shares._process

    @contextmanager
    def dying(work: Work) -> Iterator[io.BytesIO]:
        with genuine(work) as pipe:
            yield io.BytesIO(pipe.read(5_000))

    monkeypatch.setattr(shares, "_process", dying)
    assert main(["--lang", "ja", "--json", "--jobs", "2", "--no-guess", str(large)]) == USAGE
    error = capsys.readouterr().err
    assert "聞き取っていたプロセスの一つが途中で終了しました" in error
    assert "Traceback" not in error


def test_a_file_that_cannot_be_read_any_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError):
        list(shares.hear(Work(str(tmp_path / "absent"), 0, 2)))
    assert main(["--lang", "en", "--json", "--jobs", "2", str(tmp_path / "absent")]) == USAGE
    assert "No such file or directory" in capsys.readouterr().err


def test_only_large_files_are_shared_out(tmp_path: Path) -> None:
    small, absent = tmp_path / "small", tmp_path / "absent"
    small.write_bytes(bytes(100))
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    assert not any(map(shares.is_worth_it, map(str, (small, absent, tmp_path, pipe))))
