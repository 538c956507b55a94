"""Messages and attachments kept as files: whatever the wire calls them, they stay in their folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from mailtap.capture.__main__ import main
from mailtap.capture.keeping import Keeper, safe_name
from mailtap.capture.model import Mail
from mailtap.capture.sinks import SinkError

HEAD = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"


def message(*names: str) -> bytes:
    parts = b"".join(
        b'--x\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="%s"\r\n\r\n'
        b"content of %d\r\n" % (name.encode(), place)
        for place, name in enumerate(names)
    )
    return HEAD + b"--x\r\n\r\nhello\r\n" + parts + b"--x--\r\n"


def capture(path: Path, *messages: bytes) -> str:
    turns = [
        ("S", b"+OK\r\n"),
        ("C", b"USER a\r\n"),
        ("S", b"+OK\r\n"),
        ("C", b"PASS b\r\n"),
        ("S", b"+OK\r\n"),
    ]
    for each in messages:
        turns += [("C", b"RETR 1\r\n"), ("S", b"+OK\r\n" + each + b".\r\n")]
    path.write_bytes(wire.pcap(wire.conversation(turns)))
    return str(path)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("report.pdf", "report.pdf", id="as it is"),
        pytest.param("../../etc/passwd", "passwd", id="climbing"),
        pytest.param("/etc/shadow", "shadow", id="absolute"),
        pytest.param("..\\..\\boot.ini", "boot.ini", id="climbing, Windows"),
        pytest.param("C:\\autoexec.bat", "autoexec.bat", id="absolute, Windows"),
        pytest.param("..", "", id="the folder above"),
        pytest.param("", "", id="nothing"),
        pytest.param("a/", "", id="a folder"),
        pytest.param(".bashrc", "bashrc", id="hidden"),
        pytest.param("notes.txt:stream", "notes.txt_stream", id="a stream of NTFS"),
        pytest.param("a\0b.txt", "a_b.txt", id="NUL"),
        pytest.param("a\r\nb\x1b[2J.txt", "a__b_[2J.txt", id="control characters"),
        pytest.param("invoice\u202efdp.exe", "invoice_fdp.exe", id="right-to-left override"),
        pytest.param("見積書.pdf", "見積書.pdf", id="Japanese"),
        pytest.param("cafe\u0301.txt", "caf\u00e9.txt", id="one form of each letter"),
        pytest.param("x" * 300 + ".pdf", "x" * 116 + ".pdf", id="long, its ending kept"),
        pytest.param("あ" * 300 + ".pdf", "あ" * 38 + ".pdf", id="long, no character cut"),
        pytest.param("trailing. . ", "trailing", id="dots and spaces at the end"),
        pytest.param("\ud800.txt", "_.txt", id="half a surrogate pair"),
    ],
)
def test_names_are_made_safe(name: str, expected: str) -> None:
    assert safe_name(name) == expected


@given(st.text(max_size=300))
def test_no_name_leaves_its_folder(name: str) -> None:
    safe = safe_name(name)
    assert "/" not in safe
    assert "\\" not in safe
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 120
    assert Path("folder", "x-" + safe).parent == Path("folder")
    assert safe_name(safe) == safe


def test_what_leaked_is_in_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heard = capture(tmp_path / "session.pcap", message("a.txt", "../a.txt"), message("あ.bin"))
    out = tmp_path / "new" / "mail"
    assert main([heard, "--save", str(out)]) == 0
    assert files(out) == {
        "session-0001.eml": message("a.txt", "../a.txt"),
        "session-0001-a.txt": b"content of 0",
        "session-0001-a-2.txt": b"content of 1",
        "session-0002.eml": message("あ.bin"),
        "session-0002-あ.bin": b"content of 0",
    }
    assert capsys.readouterr().err == f"Saved in {out}: messages 2, attachments 3.\n"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    out = tmp_path / "mail"
    before = os.umask(0)
    try:
        assert main([capture(tmp_path / "s.pcap", message("a.txt")), "--save", str(out)]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "mail"
    heard = capture(tmp_path / "s.pcap", message("a.txt"))
    for _ in range(3):
        assert main([heard, "--save", str(out)]) == 0
    assert sorted(files(out)) == [
        *("s-0001-2.eml", "s-0001-3.eml", "s-0001-a-2.txt", "s-0001-a-3.txt", "s-0001-a.txt", "s-0001.eml")
    ]


def test_no_link_is_followed(tmp_path: Path) -> None:
    out, precious = tmp_path / "mail", tmp_path / "precious"
    out.mkdir()
    (out / "s-0001.eml").symlink_to(precious)
    assert main([capture(tmp_path / "s.pcap", message()), "--save", str(out)]) == 0
    assert not precious.exists()
    assert (out / "s-0001-2.eml").read_bytes() == message()


def test_a_message_with_a_hole_says_so_in_its_name(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.keep_mail(Mail(number=7, content=b"Subject: x\r\n", whole=False), "a/../b")
    assert files(tmp_path) == {"b-0007-incomplete.eml": b"Subject: x\r\n"}


def test_a_folder_that_cannot_be_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    heard = capture(tmp_path / "s.pcap", message())
    assert main([heard, "--save", str(tmp_path / "file")]) == 2
    assert "Cannot write" in capsys.readouterr().err
    with pytest.raises(SinkError, match="Give"):
        Keeper(tmp_path / "file" / "below")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(tmp_path)
    opened = os.open

    def full(path: Path, flags: int, mode: int) -> int:
        os.close(opened(path, flags, mode))
        return opened("/dev/full", os.O_WRONLY)

    monkeypatch.setattr("mailtap.capture.keeping.os.open", full)
    with pytest.raises(SinkError, match="disk is full"):
        keeper.keep_mail(Mail(number=1, content=b"x", whole=True), "s")
    assert files(tmp_path) == {}
