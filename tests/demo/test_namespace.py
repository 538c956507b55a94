"""What a private network is like from the inside, and that sudo's root is really given up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import denial
import pytest

from mailtap.demo.network import identity, namespace
from mailtap.demo.network.identity import Identity
from mailtap.demo.network.namespace import NamespaceError, Step

linux = pytest.mark.skipif(sys.platform != "linux", reason="only for Linux")
as_root = pytest.mark.skipif(not identity.is_root(), reason="only for root: it gives root up")
private = pytest.mark.skipif(
    bool(denial.refusal("private-network")), reason="only where private networks work"
)

HEAD = """
import fcntl, json, os, socket, struct, subprocess, sys
from pathlib import Path
from mailtap.demo.network import identity, namespace
def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(name + ":"))
"""


def inside(program: str, **environment: str) -> dict[str, object]:
    """Run a program that prints JSON, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + program],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, object] = json.loads(done.stdout)
    return report


@linux
@private
def test_inside_there_is_only_an_ethernet_like_loopback_that_is_up() -> None:
    report = inside("""
namespace.enter_private_network()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
    ask = lambda code: struct.unpack_from("i", fcntl.ioctl(query, code, b"lo".ljust(40, bytes(1))), 16)[0]
    flags, mtu = ask(0x8913), ask(0x8921)
interfaces = [name for _, name in socket.if_nameindex()]
ports = [socket.create_server(("127.0.0.1", port)).getsockname()[1] for port in (25, 110, 465, 995)]
print(json.dumps({"lo": "lo" in interfaces, "up": flags & 1, "mtu": mtu, "uid": os.getuid(),
                  "ports": ports}))
""")
    assert report == {"lo": True, "up": 1, "mtu": 1500, "uid": 0, "ports": [25, 110, 465, 995]}


@linux
@private
def test_what_is_sent_in_bulk_leaves_in_frames_that_fit_an_ethernet() -> None:
    report = inside("""
namespace.enter_private_network()
from mailtap.capture.live import LiveCapture
import threading
with socket.create_server(("127.0.0.1", 110)) as listener, LiveCapture() as capture:
    with socket.create_connection(("127.0.0.1", 110)) as client:
        server, _ = listener.accept()
        threading.Thread(target=client.sendall, args=(bytes(300_000),)).start()
        left = 300_000
        while left:
            left -= len(server.recv(65536))
        server.close()
    packets = capture.stop().packets
print(json.dumps({"largest": max(packet.length for packet in packets)}))
""")
    assert report == {"largest": 1514}


@linux
@private
def test_nobody_outside_can_be_reached_and_nobody_outside_reaches_in() -> None:
    report = inside("""
with socket.create_server(("127.0.0.1", 0)) as outside:
    address = outside.getsockname()
    namespace.enter_private_network()
    try:
        socket.create_connection(address, timeout=5)
        reached = True
    except OSError as error:
        reached = type(error).__name__
print(json.dumps({"reached": reached}))
""")
    assert report == {"reached": "ConnectionRefusedError"}


@linux
@private
def test_a_helper_makes_sockets_inside_for_a_parent_that_stays_outside() -> None:
    report = inside("""
parent, child = socket.socketpair()
if os.fork() == 0:
    namespace.enter_private_network()
    made = socket.create_server(("127.0.0.1", 110))
    socket.send_fds(child, [b"x"], [made.fileno()])
    os._exit(0)
_, descriptors, _, _ = socket.recv_fds(parent, 1, 1)
with socket.socket(fileno=descriptors[0]) as inside:
    address = inside.getsockname()
os.wait()
print(json.dumps({"inside": address}))
""")
    assert report == {"inside": ["127.0.0.1", 110]}


@linux
@as_root
def test_giving_root_up_keeps_only_the_right_to_listen_and_programs_started_later_get_none() -> None:
    report = inside(
        """
user = identity.invoking_user(os.environ)
identity.become(user, listening=True)
later = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
try:
    os.setuid(0)
    back = True
except PermissionError:
    back = False
print(json.dumps({"uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(), "back": back,
                  "kept": int(status("CapPrm"), 16), "effective": int(status("CapEff"), 16),
                  "later": [line.split()[1] for line in later.splitlines() if line.startswith("CapEff")]}))
""",
        SUDO_UID=str(denial.ORDINARY),
        SUDO_GID=str(denial.ORDINARY),
    )
    me = denial.ORDINARY
    listening = 1 << 13 | 1 << 10  # CAP_NET_RAW, CAP_NET_BIND_SERVICE
    assert report == {
        "uids": [me] * 3,
        "gids": [me] * 3,
        "groups": [me],
        "back": False,
        "kept": listening,
        "effective": listening,
        "later": ["0" * 16],
    }


@linux
@as_root
def test_a_user_who_could_not_read_the_program_is_found_out_without_becoming_him(tmp_path: Path) -> None:
    closed = tmp_path / "closed.py"
    closed.touch(mode=0o600)
    user = Identity(denial.ORDINARY, denial.ORDINARY, (denial.ORDINARY,))
    before = os.getresuid(), os.getresgid(), os.getgroups()
    assert not identity.could_read(user, [closed])
    assert identity.could_read(user, [Path("/proc/version")])
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


@linux
@as_root
@private
def test_root_in_a_private_network_that_cannot_read_the_program_is_not_used(tmp_path: Path) -> None:
    closed = tmp_path / "closed.py"
    closed.touch(mode=0o600)
    os.chown(closed, denial.ORDINARY, denial.ORDINARY)
    report = inside(f"""
from mailtap.demo.network import rungs
rungs.own_files = lambda: (Path({str(closed)!r}),)
probe = rungs.probe(rungs.Rung.PRIVATE_NETWORK)
print(json.dumps({{"works": probe.works, "step": probe.detail.split(":")[0], "mend": probe.mend}}))
""")
    assert report == {"works": False, "step": Step.FILES, "mend": "Run without sudo."}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, None, id="no sudo"),
        pytest.param({"SUDO_UID": "0", "SUDO_GID": "0"}, None, id="root's own sudo"),
        pytest.param({"SUDO_UID": "x", "SUDO_GID": "1"}, None, id="nonsense"),
        pytest.param({"SUDO_UID": "-5", "SUDO_GID": "1"}, None, id="a negative number"),
        pytest.param({"SUDO_UID": "54321"}, None, id="no group"),
        pytest.param(
            {"SUDO_UID": "54321", "SUDO_GID": "7"},
            Identity(54321, 7, (7,)),
            id="a user without a name",
            marks=linux,
        ),
    ],
)
def test_the_user_behind_sudo(environment: dict[str, str], expected: Identity | None) -> None:
    assert identity.invoking_user(environment) == expected


@pytest.mark.skipif(sys.platform == "linux", reason="only where there are no namespaces")
def test_elsewhere_there_are_no_private_networks() -> None:
    with pytest.raises(NamespaceError, match="system"):
        namespace.enter_private_network()


def test_a_root_that_cannot_change_groups_could_read_nothing_and_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    for name in ("setgroups", "setegid", "seteuid"):
        monkeypatch.setattr(os, name, refuse)
    assert not identity.could_read(identity.Identity(1, 1, (1,)), [Path("/")])
