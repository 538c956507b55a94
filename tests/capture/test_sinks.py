"""Capture files are written whole or not at all, and Wireshark's own tools read them as they were meant."""

import errno
import itertools
import os
import shutil
import ssl
import stat
import subprocess
from operator import itemgetter
from pathlib import Path

import pytest
import trustme
import wire
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader, RawPcapReader

from mailtap.capture.model import Packet, Protocol
from mailtap.capture.sinks import SinkError, require_writable, write_pcap, write_pcapng
from mailtap.capture.witness import Hearing, hear

TALK = [("S", b"+OK hello\r\n"), ("C", b"USER mrose\r\n"), ("S", b"+OK\r\n"), ("C", b"PASS tanstaaf\r\n")]
PACKETS = wire.conversation(TALK)
WRITERS = [pytest.param(write_pcap, id="pcap"), pytest.param(write_pcapng, id="pcapng")]
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def tshark(path: Path, *fields: str) -> list[list[str]]:
    command = ["tshark", "-n", "-r", str(path), "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def read_back(path: Path) -> list[Packet]:
    """Read a file with scapy, which numbers nothing and knows the link type only of the file."""
    with RawPcapReader(str(path)) as reader:
        new = isinstance(reader, RawPcapNgReader)
        packets = []
        for number in itertools.count(1):
            try:
                data, meta = reader._read_packet(size=1 << 20)  # the public way cuts at 65,535 bytes
            except EOFError:
                return packets
            if new:
                ticks = (meta.tshigh << 32) + meta.tslow
                packets.append(Packet(number, ticks, meta.linktype, data, meta.wirelen))
            else:
                time_ns = meta.sec * 1_000_000_000 + meta.usec
                packets.append(Packet(number, time_ns, reader.linktype, data, meta.wirelen))
    raise AssertionError


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "packets",
    [
        pytest.param(PACKETS, id="conversation"),
        pytest.param(wire.snap(PACKETS, 60), id="cut-by-the-snaplen"),
        pytest.param(wire.conversation(TALK, link_type=wire.NULL), id="link-type-zero"),
        pytest.param(wire.conversation(TALK, link_type=wire.COOKED2), id="cooked-v2"),
        pytest.param(
            [Packet(1, 1_234_567_890_123_456_789, 1, b"\0" * 65_549, 65_549)], id="full-size-loopback"
        ),
        pytest.param([Packet(1, 0, 1, b"", 60)], id="nothing-captured"),
        pytest.param([], id="no-packets"),
    ],
)
def test_what_is_written_is_read_back(tmp_path, write, packets):
    write(tmp_path / "x", packets)
    assert read_back(tmp_path / "x") == packets


@given(
    packets=st.lists(
        st.builds(
            lambda time_ns, data, more: Packet(0, time_ns, 1, data, len(data) + more),
            st.integers(0, (1 << 32) * 10**9 - 1),
            st.binary(max_size=80),
            st.integers(0, 100),
        ),
        max_size=5,
    )
)
@pytest.mark.parametrize("write", WRITERS)
def test_times_lengths_and_bytes_are_exact(tmp_path_factory, write, packets):
    path = tmp_path_factory.getbasetemp() / f"exact-{write.__name__}"
    packets = [packet._replace(number=number) for number, packet in enumerate(packets, 1)]
    write(path, packets)
    assert read_back(path) == packets


def test_pcap_moves_times_it_cannot_hold_to_its_ends(tmp_path):
    write_pcap(tmp_path / "x", [Packet(1, -5, 1, b"a", 1), Packet(2, 1 << 63, 1, b"b", 1)])
    assert [packet.time_ns for packet in read_back(tmp_path / "x")] == [0, (1 << 32) * 10**9 - 1]


@needs_tshark
@pytest.mark.parametrize("write", WRITERS)
def test_wireshark_reads_times_and_lengths(tmp_path, write):
    packets = wire.snap(PACKETS, 60)
    write(tmp_path / "x", packets)
    expected = [
        [
            str(packet.number),
            f"{packet.time_ns // 10**9}.{packet.time_ns % 10**9:09}",
            str(packet.length),
            str(len(packet.data)),
        ]
        for packet in packets
    ]
    assert (
        tshark(tmp_path / "x", "frame.number", "frame.time_epoch", "frame.len", "frame.cap_len") == expected
    )


@needs_tshark
def test_pcapng_holds_several_link_types(tmp_path):
    mixed = wire.interleave(PACKETS, wire.conversation(TALK, link_type=wire.COOKED))
    write_pcapng(tmp_path / "x", mixed)
    assert tshark(tmp_path / "x", "frame.encap_type", "tcp.dstport")[:2] == [["1", "110"], ["25", "110"]]


def test_pcap_refuses_several_link_types(tmp_path):
    mixed = wire.interleave(PACKETS, wire.conversation(TALK, link_type=wire.COOKED))
    with pytest.raises(
        SinkError, match=r"packet 2 has link type 113, those before it 1\. Write a pcapng file"
    ):
        write_pcap(tmp_path / "x", mixed)
    assert list(tmp_path.iterdir()) == []


# --- all or nothing ----------------------------------------------------------------------------------


def breaking_off():
    yield PACKETS[0]
    raise KeyboardInterrupt


@pytest.mark.parametrize("write", WRITERS)
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, write):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write(path, breaking_off())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", WRITERS)
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(tmp_path, write):
    resource = pytest.importorskip("resource")
    path = tmp_path / "x"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(SinkError, match="File too large"):
            write(path, PACKETS * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", WRITERS)
def test_a_new_file_is_for_its_owner_only_and_an_old_one_keeps_its_mode(tmp_path, write):
    write(tmp_path / "new", PACKETS)
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o644)
    write(tmp_path / "old", PACKETS)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "old")]
    assert modes == [0o600, 0o644]


@pytest.mark.parametrize("write", WRITERS)
def test_a_symbolic_link_stays_one(tmp_path, write):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write(tmp_path / "link", PACKETS)
    assert (tmp_path / "link").is_symlink()
    assert read_back(tmp_path / "target") == PACKETS


@pytest.mark.parametrize("write", WRITERS)
def test_a_pipe_is_written_to_not_replaced(tmp_path, write):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE) as reader:
        write(fifo, PACKETS)
        output, _ = reader.communicate()
    write(tmp_path / "file", PACKETS)
    assert output == (tmp_path / "file").read_bytes()
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        pytest.param("missing/x", "Create the directory", id="no-directory"),
        pytest.param("file/x", "a part of the path is a file", id="under-a-file"),
        pytest.param(".", "it is a directory", id="a-directory"),
        pytest.param("/dev/full", "the disk is full", id="disk-full"),
        pytest.param("/proc/x", "Cannot write /proc/x: .+ Give another path|Create", id="no-place-to-write"),
    ],
)
def test_errors_say_what_to_do(tmp_path, write, name, advice):
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=advice):
        write(tmp_path / name, PACKETS)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        pytest.param("missing/x", "Create the directory", id="no-directory"),
        pytest.param("missing/", "missing/: .*Create the directory", id="no-such-directory"),
        pytest.param("folder/", "folder/: it is a directory", id="a-directory"),
        pytest.param("file/", "file/: a part of the path is a file", id="a-file-named-as-a-directory"),
        pytest.param("file/x", "a part of the path is a file", id="under-a-file"),
        pytest.param("loop/x", "another path", id="no-end-of-links"),
    ],
)
def test_obstacles_are_found_before_the_work(tmp_path, name, advice):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SinkError, match=advice):
        require_writable(f"{tmp_path}/{name}")
    for path in (tmp_path / "new", tmp_path / "file", "/dev/null"):
        require_writable(path)


def test_where_one_may_not_look_one_may_not_write(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(SinkError, match="permission was denied"):
        require_writable(tmp_path / "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="only for an ordinary user: root may write everywhere")
def test_a_locked_directory_is_explained(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SinkError, match="permission was denied"):
        write_pcap(tmp_path / "x", PACKETS)


# --- the session keys inside -------------------------------------------------------------------------


def shuttle(
    client: ssl.SSLObject, server: ssl.SSLObject, wires: dict[str, ssl.MemoryBIO], turns: list
) -> None:
    """Carry what each side has written to the other until there is no more, noting it in `turns`."""
    moved = True
    while moved:
        moved = False
        for side, source, target in (("C", "c-out", "s-in"), ("S", "s-out", "c-in")):
            if data := wires[source].read():
                turns.append((side, data))
                wires[target].write(data)
                moved = True
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


def tls_session(
    folder: Path, version: ssl.TLSVersion, dialogue: list[wire.Turn], hello: list[wire.Turn]
) -> tuple:
    """Return a TLS session's turns as they cross the wire, and its key log."""
    ca = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("mail.lab.example").configure_cert(server_context)
    server_context.keylog_filename = str(folder / "keys.log")
    server_context.maximum_version = server_context.minimum_version = version
    client_context = ssl.create_default_context()
    ca.configure_trust(client_context)
    wires = {name: ssl.MemoryBIO() for name in ("c-in", "c-out", "s-in", "s-out")}
    client = client_context.wrap_bio(wires["c-in"], wires["c-out"], server_hostname="mail.lab.example")
    server = server_context.wrap_bio(wires["s-in"], wires["s-out"], server_side=True)
    turns = list(hello)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    shuttle(client, server, wires, turns)
    for side, data in dialogue:
        (client if side == "C" else server).write(data)
        shuttle(client, server, wires, turns)
        assert (server if side == "C" else client).read() == data
    return turns, (folder / "keys.log").read_bytes()


POP3 = [
    ("S", b"+OK hi\r\n"),
    ("C", b"USER mrose\r\n"),
    ("S", b"+OK\r\n"),
    ("C", b"PASS tanstaaf\r\n"),
    ("S", b"+OK\r\n"),
]
SMTP = [
    ("S", b"220 hi\r\n"),
    ("C", b"EHLO me\r\n"),
    ("S", b"250 AUTH PLAIN\r\n"),
    ("C", b"AUTH PLAIN AG1yb3NlAHRhbnN0YWFm\r\n"),
    ("S", b"235 ok\r\n"),
]
PIPELINED = [POP3[0], ("C", b"USER mrose\r\n"), ("C", b"PASS tanstaaf\r\n"), ("S", b"+OK\r\n+OK\r\n")]
STLS = [("S", b"+OK hi\r\n"), ("C", b"STLS\r\n"), ("S", b"+OK begin\r\n")]


@needs_tshark
@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"]
)
@pytest.mark.parametrize(
    "session",
    [
        pytest.param((995, POP3, [], Protocol.POP3), id="pop3s"),
        pytest.param((995, PIPELINED, [], Protocol.POP3), id="pop3s-two-records-a-packet"),
        pytest.param((465, SMTP, [], Protocol.SMTP), id="smtps"),
        pytest.param((110, POP3[1:], STLS, Protocol.POP3), id="stls"),
    ],
)
def test_wireshark_reads_a_tls_session_only_with_its_keys(tmp_path, version, session):
    port, dialogue, hello, protocol = session
    turns, keys = tls_session(tmp_path, version, dialogue, hello)
    if dialogue is PIPELINED:
        turns = [
            (side, b"".join(data for _, data in said))
            for side, said in itertools.groupby(turns, itemgetter(0))
        ]
    packets = wire.conversation(turns, server=wire.SERVER._replace(port=port))
    write_pcap(tmp_path / "opaque.pcap", packets)
    write_pcapng(tmp_path / "keyed.pcapng", packets, secrets=keys)

    heard = hear(tmp_path / "keyed.pcapng", ports={})
    assert (heard.hearing, [(login.protocol, login.secret) for login in heard.logins if login.secret]) == (
        Hearing.HEARD,
        [(protocol, b"tanstaaf")],
    )
    deaf = hear(tmp_path / "opaque.pcap", ports={})
    assert (deaf.hearing, deaf.logins) == (Hearing.HEARD, ())
    for name in ("opaque.pcap", "keyed.pcapng"):
        assert b"tanstaaf" not in (tmp_path / name).read_bytes()
