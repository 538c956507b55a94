"""The relay passes every byte on as it came, and writes it down as packets that anyone can read."""

from __future__ import annotations

import errno
import os
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from mailtap.capture.decode import Decoder
from mailtap.capture.model import Direction, Endpoint, Packet, Segment
from mailtap.capture.sinks import write_pcap
from mailtap.capture.wire.ends import ports_of
from mailtap.demo.network.frames import MSS, Connection
from mailtap.demo.network.mover import Mover
from mailtap.demo.network.ports import alternatives
from mailtap.demo.network.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mailtap.capture.live import Recording

C, S = Direction.CLIENT, Direction.SERVER
FIN, SYN, RST = 1, 2, 4
DATA = bytes(range(251)) * 4001  # no piece of it looks like the next
MOST_LINKS = "mailtap.demo.network.mover.most_links"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@contextmanager
def relayed(
    serve: Callable[[socket.socket], None], **options: object
) -> Iterator[tuple[Relay, tuple[str, int]]]:
    """Give a relay before a server that serves each connection in a thread of its own."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=512) as listener,
        ThreadPoolExecutor(32) as pool,
    ):

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                pool.submit(serve, connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            with Relay({"server": listener.getsockname()}, **options) as relay:  # type: ignore[arg-type]
                yield relay, relay.endpoints["server"]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_all(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def segments(recording: Recording) -> list[Segment]:
    decoder = Decoder()
    decoded = [decoder.decode(packet) for packet in recording.packets]
    assert all(len(items) == 1 and isinstance(items[0], Segment) for items in decoded)
    return [items[0] for items in decoded if isinstance(items[0], Segment)]


def streams(recording: Recording, server_port: int) -> dict[Direction, bytes]:
    """Join the payloads as they come: the relay writes no hole and no disorder."""
    joined = {C: b"", S: b""}
    next_sequence: dict[bytes, int] = {}
    for segment in segments(recording):
        key = segment.ends
        assert next_sequence.get(key, segment.sequence) == segment.sequence
        grown = segment.sequence + len(segment.payload) + bool(segment.flags & (SYN | FIN))
        next_sequence[key] = grown & 0xFFFFFFFF
        joined[S if ports_of(segment.ends)[0] == server_port else C] += segment.payload
    return joined


def echo(connection: socket.socket) -> None:
    with connection:
        while piece := connection.recv(65536):
            connection.sendall(piece)


@pytest.mark.parametrize("size", [1, MSS, MSS + 1, 16 * 1024 + 1, 2_000_000])
def test_bytes_pass_unchanged_in_both_directions_and_into_the_packets(size: int) -> None:
    data = os.urandom(size)
    with relayed(echo) as (relay, endpoint):
        with socket.create_connection(endpoint) as client:
            sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
            sender.start()
            assert read_all(client) == data
            sender.join()
        recording = relay.stop()
    assert streams(recording, endpoint[1]) == {C: data, S: data}
    assert (recording.dropped, recording.complete, recording.problem) == (0, True, "")
    assert [packet.number for packet in recording.packets] == list(range(1, len(recording.packets) + 1))
    assert max(len(packet.data) for packet in recording.packets) <= 1514


def test_a_side_that_has_finished_speaking_still_hears() -> None:
    def answer_at_the_end(connection: socket.socket) -> None:
        with connection:
            connection.sendall(b"got " + read_all(connection))

    with relayed(answer_at_the_end) as (relay, endpoint):
        with socket.create_connection(endpoint) as client:
            client.sendall(b"everything")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"got everything"
        recording = relay.stop()
    happened = [("F" if s.flags & FIN else "") + s.payload.decode() for s in segments(recording)]
    assert [text for text in happened if text] == ["everything", "F", "got everything", "F"]


def test_the_server_may_finish_first() -> None:
    heard = []

    def speak_then_listen(connection: socket.socket) -> None:
        with connection:
            connection.sendall(b"bye")
            connection.shutdown(socket.SHUT_WR)
            heard.append(read_all(connection))

    with relayed(speak_then_listen) as (relay, endpoint):
        with socket.create_connection(endpoint) as client:
            assert read_all(client) == b"bye"
            client.sendall(b"last word")
        recording = relay.stop()
    assert heard == [b"last word"]
    assert streams(recording, endpoint[1]) == {C: b"last word", S: b"bye"}


def test_the_order_of_the_two_sides_is_the_order_in_which_they_spoke() -> None:
    with relayed(echo) as (relay, endpoint):
        with socket.create_connection(endpoint) as client:
            for number in range(50):
                client.sendall(b"%d" % number)
                assert client.recv(10) == b"%d" % number
        recording = relay.stop()
    said = [s.payload for s in segments(recording) if s.payload]
    assert said == [b"%d" % number for number in range(50) for _ in "CS"]
    times = [packet.time_ns for packet in recording.packets]
    assert times == sorted(times)


@pytest.mark.parametrize("who", [C, S], ids=["by the client", "by the server"])
def test_a_reset_is_passed_on_and_written_down(who: Direction) -> None:
    passed = threading.Event()
    ready = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            assert connection.recv(10) == b"hello"
            ready.set()
            if who is S:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                return
            with pytest.raises(ConnectionResetError):
                connection.recv(10)
            passed.set()

    with relayed(serve) as (relay, endpoint):
        with socket.create_connection(endpoint, timeout=10) as client:
            client.sendall(b"hello")
            assert ready.wait(10)
            if who is C:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                client.close()
            else:
                with pytest.raises(ConnectionResetError):
                    client.recv(10)
                passed.set()
        assert passed.wait(10)
        recording = relay.stop()
    last = segments(recording)[-1]
    assert last.flags & RST
    assert (ports_of(last.ends)[0] == endpoint[1]) is (who is S)
    assert recording.complete


def test_a_server_that_is_not_there_is_a_reset() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # held, so that nobody else can listen there
        relay = Relay({"nobody": holder.getsockname()})
        relay.start()
        # The reset may come before the system has even told that the connection was made.
        with (
            pytest.raises(ConnectionResetError),
            socket.create_connection(relay.endpoints["nobody"], timeout=10) as client,
        ):
            client.recv(1)
        recording = relay.stop()
    assert [s.flags for s in segments(recording)][-1] & RST
    assert recording.complete


def test_a_reader_that_does_not_read_holds_the_writer_back() -> None:
    written = []
    full = threading.Event()

    def pour(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.5)  # how long nothing more may go before it counts as held back
            total = 0
            try:
                while total < 200_000_000:
                    total += connection.send(DATA[total % len(DATA) :][:65536])
            except TimeoutError:
                pass
            written.append(total)
            full.set()

    with relayed(pour, keep=False) as (relay, endpoint), socket.create_connection(endpoint) as client:
        assert full.wait(20)
        heard = read_all(client)
        relay.stop()
    assert heard == (DATA * (len(heard) // len(DATA) + 1))[: written[0]], "and yet nothing is lost"
    # Two kernels' worth of socket buffers, and no more: nothing piles up in the relay.
    assert written[0] < 50_000_000


def test_more_clients_than_it_serves_at_once_are_all_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MOST_LINKS, lambda: 60)
    with relayed(echo) as (relay, endpoint):

        def visit(number: int) -> bytes:
            with socket.create_connection(endpoint, timeout=30) as client:
                client.sendall(b"client %d" % number)
                client.shutdown(socket.SHUT_WR)
                return read_all(client)

        with ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(visit, range(300)))
        recording = relay.stop()
    assert answers == [b"client %d" % number for number in range(300)]
    assert sum(bool(s.flags & SYN) for s in segments(recording)) == 600
    assert recording.complete


def test_many_connections_open_at_once_are_all_served_and_none_is_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MOST_LINKS, lambda: 60)
    with ExitStack() as stack:
        relay, endpoint = stack.enter_context(relayed(echo))
        clients = [stack.enter_context(socket.create_connection(endpoint, timeout=30)) for _ in range(150)]
        for number, client in enumerate(clients):
            client.sendall(b"client %d" % number)
            client.shutdown(socket.SHUT_WR)
        stopper = threading.Thread(target=relay.stop, args=(30,))
        stopper.start()  # most of them wait in the queue even now
        assert [read_all(client) for client in clients] == [b"client %d" % number for number in range(150)]
        stopper.join(30)
        recording = relay.stop()
    assert recording.complete
    assert not any(s.flags & RST for s in segments(recording))


# Room for a few links only; who waits must be let in when others end.
SHORT_OF_DESCRIPTORS = """
import os, resource, sys
from mailtap.demo.network.relay import Relay
relay = Relay({"server": ("127.0.0.1", int(sys.argv[1]))})
relay.start()
used = len(os.listdir("/dev/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (used + 9, used + 9))
print(relay.endpoints["server"][1], flush=True)
sys.stdin.readline()
recording = relay.stop()
print(recording.problem, len(recording.packets), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="only where a process has a limit of descriptors")
def test_when_descriptors_run_out_nobody_is_reset_and_all_are_served_in_turn() -> None:
    with (
        relayed(echo) as (direct, _),
        subprocess.Popen(
            [sys.executable, "-c", SHORT_OF_DESCRIPTORS, str(direct._targets["server"][1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as program,
        ExitStack() as stack,
    ):
        assert program.stdin is not None
        assert program.stdout is not None
        endpoint = ("127.0.0.1", int(program.stdout.readline()))
        clients = [stack.enter_context(socket.create_connection(endpoint, timeout=20)) for _ in range(12)]
        for client in clients:
            client.sendall(b"hello")
        for client in clients:  # while the later ones wait, the earlier ones are still open
            assert client.recv(5) == b"hello"
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
        said, _ = program.communicate("\n", timeout=20)
    packets = 12 * (3 + 2 * 2 + 2 * 2)
    assert said == f" {packets}\n"


def test_a_connection_still_open_at_the_end_is_reset_and_nothing_is_left() -> None:
    with relayed(echo) as (relay, endpoint):
        with socket.create_connection(endpoint, timeout=10) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            recording = relay.stop(0)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(endpoint)
    assert segments(recording)[-1].flags & RST
    assert relay.stop() is recording
    assert not any(thread.name == "mailtap-relay" for thread in threading.enumerate())


def test_clients_that_had_connected_before_the_end_are_still_served() -> None:
    hold = threading.Event()
    with ExitStack() as stack:
        relay, endpoint = stack.enter_context(relayed(echo, on_packets=lambda _: hold.wait(10)))
        # The first connection keeps the relay busy while the others wait in the system's queue.
        first, *others = (stack.enter_context(socket.create_connection(endpoint)) for _ in range(5))
        for client in (first, *others):
            client.sendall(b"just in time")
            client.shutdown(socket.SHUT_WR)
        assert relay._mover is not None
        relay._mover.end(5)
        hold.set()
        assert [read_all(client) for client in (first, *others)] == [b"just in time"] * 5
        recording = relay.stop()
    assert streams(recording, endpoint[1])[S] == b"just in time" * 5


def test_the_wanted_port_is_taken_where_it_is_free_and_another_where_not() -> None:
    free = _unused_port()
    with relayed(echo, ports={"server": free}) as (relay, endpoint):
        assert endpoint == ("127.0.0.1", free)
        assert relay.remarks == ()
        with relayed(echo, ports={"server": free}) as (second, other):
            assert free < other[1] <= free + 9, "one close by"
            (remark,) = second.remarks
    assert f"Port {free} on 127.0.0.1 is taken by" in str(remark)
    assert f"(process {os.getpid()})" in str(remark)
    assert "goes on with another" in str(remark)


def test_only_a_taken_port_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: socket.socket, _address: object) -> None:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    relay = Relay({"server": ("127.0.0.1", 1)}, ports={"server": _unused_port()})
    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(OSError, match="No buffer space"):
        relay.start()


def test_ports_close_by_come_first_and_then_any() -> None:
    assert list(alternatives(10110, {10110, 10112})) == [10111, *range(10113, 10120), 0]
    assert list(alternatives(65534)) == [65535, 0]


def _unused_port() -> int:
    """Return a port that nobody is given who asks for any, as other tests do."""
    for port in range(20_000, 30_000):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("all are taken")


def test_an_error_of_the_callers_own_reaches_him() -> None:
    def fail(_: Sequence[Packet]) -> None:
        raise ValueError("the caller's own")

    with relayed(echo) as (_, endpoint):
        relay = Relay({"server": endpoint}, on_packets=fail)
        relay.start()
        socket.create_connection(relay.endpoints["server"]).close()
        with pytest.raises(ValueError, match="the caller's own"):
            relay.stop()


def test_packets_can_be_taken_as_they_come_and_not_kept() -> None:
    seen: list[Packet] = []
    with relayed(echo, on_packets=seen.extend, keep=False) as (relay, endpoint):
        with socket.create_connection(endpoint) as client:
            client.sendall(b"live")
            assert client.recv(4) == b"live"
        assert relay.stop().packets == ()
    assert len(seen) == 3 + 2 * 2 + 2 * 2  # handshake, two words and two endings, each acknowledged


ACTIONS = st.lists(st.tuples(st.sampled_from(Direction), st.binary(min_size=1, max_size=4 * MSS)), max_size=6)


@given(ACTIONS)
@settings(max_examples=25, deadline=None)
def test_frames_are_what_scapy_would_have_built(actions: list[tuple[Direction, bytes]]) -> None:
    connection = Connection(Endpoint("127.0.0.1", 47206), Endpoint("127.0.0.1", 110))
    frames = connection.opened()
    for direction, data in actions:
        frames += connection.sent(direction, data)
    frames += connection.ended(C) + connection.ended(S)
    for frame in frames:
        built = Ether(frame)
        del built[IP].chksum, built[TCP].chksum, built[IP].len, built[TCP].dataofs
        assert bytes(built) == frame


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed (Debian: apt install tshark)")
def test_tshark_finds_nothing_wrong_in_a_relayed_capture(tmp_path: Path) -> None:
    with relayed(echo) as (relay, endpoint):
        for size in (10, 100_000):
            with socket.create_connection(endpoint) as client:
                sender = threading.Thread(
                    target=lambda c=client, n=size: (c.sendall(os.urandom(n)), c.shutdown(socket.SHUT_WR))
                )
                sender.start()
                assert len(read_all(client)) == size
                sender.join()
        recording = relay.stop()
    path = tmp_path / "relayed.pcap"
    write_pcap(path, recording.packets)
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-r", str(path)]
    warning = 0x600000  # and worse; a FIN alone is a "note"
    wrong = f"tcp.analysis.flags || _ws.malformed || _ws.expert.severity >= {warning} || !tcp"
    bad = "tcp.checksum.status != 1 || ip.checksum.status != 1"
    assert _tshark(*checks, "-Y", f"{wrong} || {bad}") == []
    assert len(_tshark(*checks)) == len(recording.packets) > 100


def _tshark(*arguments: str) -> list[str]:
    done = subprocess.run(["tshark", *arguments], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


class _Frames:
    """A notebook that keeps frames."""

    def __init__(self) -> None:
        self.all: list[bytes] = []

    def write(self, frames: Iterable[bytes]) -> None:
        self.all += frames


def _received(connection: socket.socket) -> None:
    """Wait until something has come; it is not read."""
    assert selectable(connection, 10)


def selectable(connection: socket.socket, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(seconds))


@pytest.mark.parametrize("answered", [True, False], ids=["answered at the same time", "not answered"])
@pytest.mark.parametrize("unread", [True, False], ids=["unread greeting", "lingers for nothing"])
def test_what_a_client_sent_before_it_reset_is_noted(*, answered: bool, unread: bool) -> None:
    frames = _Frames()
    mover = Mover(frames)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(mover.listen(0, listener.getsockname()))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        mover._turn()
        server, _ = listener.accept()
        with server:
            mover._turn()
            [link] = mover._links
            if unread:
                server.sendall(b"+OK ready\r\n")
                mover._turn()
                _received(client)
            if answered:
                server.sendall(b"+OK\r\n")
                _received(link.sockets[S])
            client.sendall(b"PASS secret\r\n")
            if not unread:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.close()
            _received(link.sockets[C])
            while mover._links:
                mover._turn()
        mover.close()
    assert any(b"PASS secret" in frame for frame in frames.all)


def test_it_has_not_caught_up_while_somebody_waits_to_be_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MOST_LINKS, lambda: 2)
    with relayed(echo) as (relay, endpoint), ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(endpoint, timeout=30)) for _ in range(3)]
        for number, client in enumerate(clients):
            client.sendall(b"client %d" % number)
        behind = relay.so_far(0.5)
        assert (behind.complete, "over 2 clients" in behind.problem) == (False, True)
        for client in clients[:2]:
            client.shutdown(socket.SHUT_WR)
            read_all(client)
            client.close()
        assert clients[2].recv(65536) == b"client 2"
        recording = relay.so_far()
        assert recording.complete
        assert b"client 2" in streams(recording, endpoint[1])[C]
