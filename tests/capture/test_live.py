# ruff: noqa: SIM117  # a connection, and inside it a capture: two things, two lines
"""Live capture on the host's own loopback and in a private network: everything, once, whole, or said."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import denial
import pytest
import scapy.arch  # noqa: F401  # before a test plays another system
from scapy.config import conf

from mailtap.capture import live, loopback, ring_socket, scapy_socket, sieve
from mailtap.capture.__main__ import main
from mailtap.capture.backlog import Backlog
from mailtap.capture.decode import Decoder
from mailtap.capture.live import CaptureUnavailable, Engine, InterfaceRefused, LiveCapture
from mailtap.capture.loopback import LOOPBACK
from mailtap.capture.model import Packet, Segment
from mailtap.capture.wire.ends import ports_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailtap.capture.loopback import Frame, LoopbackSocket

may_capture = pytest.mark.skipif(
    bool(denial.refusal("host-loopback")), reason="only for a user who may capture packets"
)
private = pytest.mark.skipif(
    bool(denial.refusal("private-network")), reason="only where private networks work"
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="only for Linux")
SYN, FIN = 2, 1
SOCKETS = {Engine.SCAPY: scapy_socket.ScapySocket, Engine.RING: ring_socket.RingSocket}
INSIDE = "MAILTAP_TESTS_INSIDE"  # set in the run of this file within a private network


@pytest.fixture(params=SOCKETS)
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param is Engine.RING and sys.platform != "linux":
        pytest.skip("only for Linux")
    return Engine(request.param)


@contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket, int]]:
    """Give a client, its server and the server's port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server, _ = listener.accept()
            with server:
                yield client, server, port


@contextmanager
def silent_port() -> Iterator[int]:
    """Give a port that nobody can talk to: it is bound, and does not listen."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def pour(client: socket.socket, server: socket.socket, data: bytes) -> None:
    """Send it all and read it all."""
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    left = len(data)
    while left:
        left -= len(server.recv(min(left, 1 << 16)))
    sender.join()


def segments(packets: tuple[Packet, ...]) -> list[Segment]:
    decoder = Decoder()
    return [item for packet in packets for item in decoder.decode(packet) if isinstance(item, Segment)]


def stream_to(port: int, packets: tuple[Packet, ...]) -> bytes:
    """Put what was sent to a port where its sequence numbers say; a hole or a cut would change it.

    On a busy machine the kernel sends bytes again, and in other portions than the first time.
    """
    sent = [s for s in segments(packets) if ports_of(s.ends)[1] == port and s.payload]
    assert not any(segment.cut for segment in segments(packets))
    placed = [((s.sequence - sent[0].sequence + (1 << 31)) & 0xFFFFFFFF, s.payload) for s in sent]
    placed.sort()
    stream = bytearray()
    for offset, payload in placed:
        at = offset - placed[0][0]
        stream[at : at + len(payload)] = payload
    return bytes(stream)


@may_capture
def test_a_connection_is_heard_from_its_first_to_its_last_packet_each_once(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with LiveCapture(ports=[port], engine=engine) as capture:
            with socket.create_connection(("127.0.0.1", port)) as client:
                server, _ = listener.accept()
                client.sendall(b"QUIT\r\n")
                assert server.recv(100) == b"QUIT\r\n"
                server.close()
                assert client.recv(100) == b""
            recording = capture.stop()
    assert (recording.dropped, recording.complete, recording.problem) == (0, True, "")
    heard = segments(recording.packets)
    assert [packet.number for packet in recording.packets] == list(range(1, len(heard) + 1))
    assert [bool(s.flags & SYN) for s in heard[:3]] == [True, True, False]
    assert sum(s.payload == b"QUIT\r\n" for s in heard) == 1
    assert sum(bool(s.flags & FIN) for s in heard) == 2
    times = [packet.time_ns for packet in recording.packets]
    assert times == sorted(times)
    assert all(packet.length == len(packet.data) for packet in recording.packets)


@may_capture
@pytest.mark.parametrize("size", [65_483, 3_000_000])
def test_the_largest_frames_come_whole(engine: Engine, size: int) -> None:
    data = os.urandom(size)
    with connection() as (client, server, port):
        with LiveCapture(ports=[port], engine=engine) as capture:
            pour(client, server, data)
            recording = capture.stop()
    assert (recording.dropped, recording.complete) == (0, True)
    assert stream_to(port, recording.packets) == data


@may_capture
def test_other_peoples_traffic_is_never_kept(engine: Engine) -> None:
    seen: list[Packet] = []
    with connection() as (client, server, _), silent_port() as port:
        with LiveCapture(ports=[port], engine=engine, on_packets=seen.extend) as capture:
            client.sendall(b"not for mailtap")
            assert server.recv(100) == b"not for mailtap"
            recording = capture.stop()
    assert (recording.packets, seen) == ((), [])


@may_capture
def test_without_the_kernels_filter_the_choice_is_made_here(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieve, "attach", lambda *_: False)
    with connection() as (ours, our_server, port), connection() as (client, server, _):
        with LiveCapture(ports=[port], engine=engine) as capture:
            client.sendall(b"not for mailtap")
            assert server.recv(100) == b"not for mailtap"
            ours.sendall(b"for mailtap")
            assert our_server.recv(100) == b"for mailtap"
            recording = capture.stop()
    assert stream_to(port, recording.packets) == b"for mailtap"
    assert not any(b"not for mailtap" in packet.data for packet in recording.packets)


@may_capture
@linux
@pytest.mark.parametrize("ring", [True, False], ids=["ring", "socket buffer"])
def test_what_the_kernel_drops_is_counted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, ring: bool
) -> None:
    if not ring and engine is Engine.RING:
        pytest.skip("only scapy's socket does without a ring")
    if not ring:
        monkeypatch.setattr(scapy_socket, "Ring", _no_ring)
    hold = threading.Event()
    with connection() as (client, server, port):
        with LiveCapture(ports=[port], on_packets=lambda _: hold.wait(), buffer=1, engine=engine) as capture:
            pour(client, server, bytes(8_000_000))
            hold.set()
            recording = capture.stop()
    assert recording.dropped > 0
    assert recording.complete, "the end itself was heard, after the drops"


def _no_ring(*_: object) -> None:
    raise OSError("no ring here")


@may_capture
@linux
def test_a_kernel_without_rings_hears_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scapy_socket, "Ring", _no_ring)
    data = os.urandom(65_483)
    with connection() as (client, server, port):
        with LiveCapture(ports=[port]) as capture:
            pour(client, server, data)
            recording = capture.stop()
    assert (recording.dropped, recording.complete) == (0, True)
    assert stream_to(port, recording.packets) == data


@may_capture
def test_the_last_word_is_heard_every_time(engine: Engine) -> None:
    with connection() as (client, server, port):
        for word in (f"word {number}".encode() for number in range(20)):
            with LiveCapture(ports=[port], engine=engine) as capture:
                client.sendall(word)
                assert server.recv(100) == word
                assert stream_to(port, capture.stop().packets) == word


@may_capture
def test_a_listener_that_dies_is_noticed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    read = SOCKETS[engine].frames

    def fail(self: LoopbackSocket, timeout: float) -> list[Frame]:
        frames = read(self, timeout)
        if any(b"unheard" in frame.data for frame in frames):
            raise OSError("the interface went away")
        return frames

    monkeypatch.setattr(SOCKETS[engine], "frames", fail)
    with connection() as (client, _, port):
        capture = LiveCapture(ports=[port], engine=engine)
        capture.start()
        client.sendall(b"unheard")
        recording = capture.stop()
    assert not recording.complete
    assert recording.problem == "The listener failed: the interface went away"


@may_capture
def test_a_listener_that_never_hears_its_own_mark_does_not_start(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_PATIENCE", 0.2)
    monkeypatch.setattr(SOCKETS[engine], "frames", lambda *_: [])
    with pytest.raises(CaptureUnavailable, match="hears nothing"):
        LiveCapture(engine=engine).start()


@may_capture
def test_an_error_of_the_callers_own_reaches_him(engine: Engine) -> None:
    def fail(_: Sequence[Packet]) -> None:
        raise ValueError("the caller's own")

    with connection() as (client, _, port):
        capture = LiveCapture(ports=[port], engine=engine, on_packets=fail)
        capture.start()
        client.sendall(b"x")
        with pytest.raises(ValueError, match="the caller's own"):
            capture.stop()


@may_capture
def test_stopping_twice_gives_the_same_recording_and_nothing_is_left_open(engine: Engine) -> None:
    before = threading.active_count(), _open_files()
    with silent_port() as port, LiveCapture(ports=[port], engine=engine) as capture:
        first = capture.stop()
    assert capture.stop() is first
    assert (threading.active_count(), _open_files()) == before


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


@may_capture
def test_nothing_is_kept_when_nothing_is_to_be_kept(engine: Engine) -> None:
    seen: list[Packet] = []
    with connection() as (client, server, port):
        with LiveCapture(ports=[port], engine=engine, on_packets=seen.extend, keep=False) as capture:
            client.sendall(b"live")
            assert server.recv(100) == b"live"
            assert capture.stop().packets == ()
    assert stream_to(port, tuple(seen)) == b"live"


@may_capture
@linux
def test_auto_is_the_ring_and_scapy_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in (Engine.RING, Engine.SCAPY):
        with connection() as (client, server, port):
            with LiveCapture(ports=[port], engine=Engine.AUTO) as capture:
                client.sendall(b"either way")
                assert server.recv(100) == b"either way"
                assert stream_to(port, capture.stop().packets) == b"either way"
                assert (capture.engine, capture.instead is None) == (engine, engine is Engine.RING)
        monkeypatch.setattr(ring_socket, "Ring", _no_ring)


@may_capture
@linux
@pytest.mark.parametrize(
    ("language", "said"),
    [
        pytest.param(
            "en",
            "Listening on this machine's loopback (scapy). Ctrl-C ends it."
            " This kernel has no ring for packets (no ring here); --engine scapy does without.",
            id="English",
        ),
        pytest.param(
            "ja",
            "このパソコンのループバックを聞いています(scapy)。Ctrl-C で終わります。"
            "このカーネルにはパケット用のリングがありません(no ring here)。--engine scapy ならリングなしで聞けます。",
            id="Japanese",
        ),
    ],
)
def test_why_auto_is_not_the_ring_is_said_in_the_same_line(
    language: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ring_socket, "Ring", _no_ring)
    monkeypatch.setattr(Backlog, "until", lambda *_: ())  # as if interrupted at once
    with silent_port() as port:
        assert main(["--lang", language, "--live", "--port", str(port)]) == 130
    assert capsys.readouterr().err.splitlines()[0] == said


@may_capture
@linux
def test_a_ring_that_was_asked_for_and_is_not_there_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_socket, "Ring", _no_ring)
    with pytest.raises(CaptureUnavailable, match=r"no ring here.*--engine scapy"):
        LiveCapture(engine=Engine.RING).start()


def test_stopping_what_was_never_started_is_the_callers_mistake() -> None:
    with pytest.raises(RuntimeError, match="start"):
        LiveCapture().stop()


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(CaptureUnavailable, match="no interface 'nosuch0'"):
        LiveCapture("nosuch0").start()


def test_windows_without_npcap_is_told_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without it, scapy knows the loopback by a number only.
    card = SimpleNamespace(name="Loopback Pseudo-Interface 1", network_name=r"\Device\NPF_{1}", flags=0)
    monkeypatch.setattr(conf, "ifaces", {card.network_name: card})
    monkeypatch.setattr(loopback, "LOOPBACK", r"\Device\NPF_Loopback")
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(CaptureUnavailable, match="Install Npcap"):
        loopback.require_loopback(loopback.LOOPBACK)


def test_an_interface_whose_name_is_no_text_is_named(engine: Engine) -> None:
    with pytest.raises(CaptureUnavailable, match="no interface"):
        LiveCapture(os.fsdecode(b"\xff"), engine=engine).start()


# A private network whose loopback goes down while somebody listens, and one in which it already is.
GOES_DOWN = """
import fcntl, socket, struct, sys
from mailtap.demo.network import namespace
from mailtap.capture.live import Engine, LiveCapture

namespace.enter_private_network()
first, late = LiveCapture(engine=Engine(sys.argv[1])), LiveCapture(engine=Engine(sys.argv[1]))
first.start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", b"lo", 0))  # SIOCSIFFLAGS, without IFF_UP
recording = first.stop()
print(recording.complete, recording.problem)
late.start()
"""


@linux
@private
def test_a_loopback_that_goes_down_is_noticed_and_one_that_is_down_is_refused(engine: Engine) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GOES_DOWN, engine], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stdout.startswith("False The listener failed: ")
    assert "CaptureUnavailable: " in done.stderr


@linux
@private
@pytest.mark.parametrize("name", ["eth9", "lo9"], ids=["by its kind", "whatever it is called"])
@pytest.mark.parametrize("engine", Engine)
def test_an_interface_that_is_not_loopback_is_refused(name: str, engine: str) -> None:
    # A tun interface of our own making, in a network of our own: nobody else is listened to.
    program = (
        "import fcntl, struct, sys\n"
        "from mailtap.demo.network import namespace\n"
        "from mailtap.capture.live import Engine, LiveCapture\n"
        "namespace.enter_private_network()\n"
        "tun = open('/dev/net/tun', 'r+b', buffering=0)\n"
        "fcntl.ioctl(tun, 0x400454CA, struct.pack('16sH22x', sys.argv[1].encode(), 0x1001))\n"
        "LiveCapture(sys.argv[1], engine=Engine(sys.argv[2])).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, name, engine], capture_output=True, text=True, check=False
    )
    if "/dev/net/tun" in done.stderr:
        pytest.skip("this machine has no /dev/net/tun to make another interface with")
    assert f"InterfaceRefused: '{name}' is not a loopback interface" in done.stderr


@pytest.mark.skipif("eth0" not in {name for _, name in socket.if_nameindex()}, reason="only with an eth0")
@pytest.mark.parametrize("engine", Engine)
def test_the_hosts_network_card_is_refused_to_root_too(engine: Engine) -> None:
    with pytest.raises(InterfaceRefused, match="only to this machine talking to itself"):
        LiveCapture("eth0", engine=engine).start()


@pytest.mark.skipif(not denial.can_filter(), reason="only where this test knows the system calls")
@pytest.mark.parametrize("name", Engine)
def test_without_packet_sockets_it_says_what_to_do(name: str) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import denial\n"
        "from mailtap.capture.live import Engine, LiveCapture\n"
        "denial.deny(['packet-sockets'])\n"
        "LiveCapture(engine=Engine(sys.argv[2])).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(denial.HERE), name], capture_output=True, text=True, check=False
    )
    assert "CaptureUnavailable: The system does not let this user capture packets. Run it as" in done.stderr


def test_the_usual_interface_is_this_systems_loopback() -> None:
    loopback.require_loopback(LOOPBACK)


@linux
@pytest.mark.skipif(INSIDE in os.environ, reason="only once: this is the inner run")
@private
def test_all_this_holds_in_a_private_network_too_where_no_rights_are_needed(tmp_path: Path) -> None:
    program = (
        "import sys, pytest\n"
        "from mailtap.demo.network import namespace\n"
        "namespace.enter_private_network()\n"
        "sys.exit(pytest.main(['-q', '-x', '-n0', '-p', 'no:cacheprovider', *sys.argv[1:]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, __file__, "--basetemp", str(tmp_path / "inner")],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=Path(__file__).parents[2],
        env={**os.environ, INSIDE: "1"},
    )
    assert done.returncode == 0, done.stdout
    assert "only for a user who may capture" not in done.stdout
