"""Each rung of the ladder is forced by really denying the better ones, and carries real traffic."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import denial
import pytest

from mailtap.demo import lab
from mailtap.demo.lab import Lab, LabUnavailable, Rung
from mailtap.demo.network import rungs
from mailtap.demo.network.namespace import Step

linux = pytest.mark.skipif(not denial.can_filter(), reason="only where this test knows the system calls")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only for root: it denies things to root"
)
PROGRAM = str(denial.HERE / "labprogram.py")
SUDO = {"SUDO_UID": str(denial.ORDINARY), "SUDO_GID": str(denial.ORDINARY)}
PRIVATE, ROOT, HOST, RELAY = Rung


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Skip where this very machine has no private networks for anybody."""
    if refusal := denial.refusal(PRIVATE):
        pytest.skip("this machine denies private networks to this user: " + refusal)


@pytest.fixture(scope="module")
def readable() -> None:
    """Skip where an ordinary user cannot read this interpreter or this work tree."""
    if not denial.ordinary_user_can_run():
        pytest.skip("only where an ordinary user can read this work tree and its interpreter")


def assert_heard(report: dict[str, object]) -> None:
    """Assert that the same login was heard, whole, whatever the rung."""
    assert report["leaks"] == [["username", "mrose"], ["password", "tanstaaf"]]
    assert report["said"] == "+OK lab\r\n+OK\r\n+OK logged in\r\n"
    assert (report["dropped"], report["complete"]) == (0, True)
    assert report["packets"] >= 10  # type: ignore[operator]
    # In a network of the program's own there are no strangers; on the host's, they are not listened to.
    assert report["overheard"] is (report["rung"] in {PRIVATE, ROOT})


@linux
@as_root
@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(
    ("denied", "rung"),
    [
        pytest.param([], PRIVATE, id="nothing denied"),
        pytest.param(["user-namespaces"], ROOT, id="user namespaces forbidden by seccomp"),
        pytest.param(["no-user-namespaces-left"], ROOT, id="user namespaces used up by a nested limit"),
        pytest.param(["read-only-proc"], ROOT, id="read-only /proc, as in a container"),
        pytest.param(["namespaces"], HOST, id="all namespaces forbidden by seccomp"),
        pytest.param(["no-namespaces-left"], HOST, id="all namespaces used up by a nested limit"),
        pytest.param(["loopback-up"], HOST, id="loopback may not be brought up, as by AppArmor"),
        pytest.param(["namespaces", "packet-sockets"], RELAY, id="no namespaces and no packet sockets"),
    ],
)
def test_root_falls_to_the_first_rung_not_denied(denied: list[str], rung: Rung) -> None:
    report = denial.in_lab(denied)
    assert report["rung"] == rung
    assert report["real_ports"] is (rung in {PRIVATE, ROOT})
    assert report["stayed_root"] is (rung is not PRIVATE)
    assert_heard(report)


@linux
@as_root
@pytest.mark.usefixtures("namespaces", "readable")
@pytest.mark.parametrize(
    ("denied", "rung"),
    [
        pytest.param([], PRIVATE, id="nothing denied"),
        pytest.param(["user-namespaces"], ROOT, id="user namespaces forbidden"),
        pytest.param(["namespaces"], HOST, id="all namespaces forbidden"),
        pytest.param(["namespaces", "packet-sockets"], RELAY, id="no packet sockets either"),
    ],
)
def test_sudo_gives_root_up_for_the_user_who_ran_it(denied: list[str], rung: Rung) -> None:
    report = denial.in_lab(denied, environment=SUDO)
    assert (report["rung"], report["stayed_root"], report["notes"]) == (rung, False, [])
    assert report["outside_uid"] == denial.ORDINARY
    assert_heard(report)


@linux
@pytest.mark.usefixtures("namespaces", "readable")
@pytest.mark.parametrize(
    ("denied", "rung"),
    [
        pytest.param([], PRIVATE, id="nothing denied"),
        pytest.param(["user-namespaces"], RELAY, id="user namespaces forbidden"),
        pytest.param(["loopback-up"], RELAY, id="loopback may not be brought up, as by AppArmor"),
    ],
)
def test_an_ordinary_user_needs_no_rights(denied: list[str], rung: Rung) -> None:
    report = denial.in_lab(denied, ordinary=True)
    assert report["rung"] == rung
    assert report["stayed_root"] is False
    assert_heard(report)


@linux
@pytest.mark.parametrize("rung", list(Rung))
def test_a_forced_rung_that_is_denied_says_why_and_what_to_do(rung: Rung) -> None:
    denied = ["namespaces", "packet-sockets", "sockets"]
    done = denial.run(denied, PROGRAM, rung)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert f"LabUnavailable: {rung}: " in last
    assert last.count(".") >= 2, "a reason, and what to do"


@linux
@pytest.mark.usefixtures("namespaces")
def test_a_private_network_is_another() -> None:
    # Compared with one that still exists: the number of one that is gone is given again.
    assert denial.in_lab([])["network"] != str(Path("/proc/self/ns/net").readlink())


@linux
@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(
    ("event", "occurrence", "arguments"),
    [
        pytest.param("os.fork", 1, [], id="while a rung is tried"),
        pytest.param("os.kill", 1, [], id="when it has been tried"),
        pytest.param("socket.__new__", 1, [], id="half-way into the network"),
        pytest.param("socket.bind", 1, [], id="in the network"),
        pytest.param("mmap.__new__", 1, [], id="while the capture opens"),
        pytest.param("socket.sendto", 1, [], id="while the capture starts"),
        pytest.param("socket.connect", 2, [], id="while the client talks"),
        pytest.param("socket.sendto", 2, [], id="while the capture stops"),
        pytest.param("socket.bind", 2, ["relay"], id="while the relay opens"),
        pytest.param("socket.connect", 4, ["relay"], id="while the relay moves bytes"),
    ],
)
def test_an_interrupt_at_any_moment_leaves_nothing_behind(
    event: str, occurrence: int, arguments: list[str], tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "--interrupt", event, str(occurrence), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT, stderr.decode()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_thread_that_runs_already_is_the_reason_given() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        probe = rungs.probe(PRIVATE)
        with pytest.raises(LabUnavailable, match="before that"):
            lab.choose(PRIVATE)
    finally:
        done.set()
        thread.join()
    assert not probe.works
    assert probe.detail.startswith((Step.THREADS, Step.SYSTEM))


def _enter_after_denying(name: str) -> subprocess.CompletedProcess[str]:
    """Choose a rung, deny something, and only then enter."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import denial\n"
        "from mailtap.demo.lab import choose, enter\n"
        "probe = choose()\n"
        f"denial.deny([{name!r}])\n"
        "lab = enter(probe.rung)\n"
        "print(probe.rung, lab.rung, lab.failed[0].rung, lab.failed[0].detail.split(':')[0])\n"
    )
    command = [sys.executable, "-c", program, str(denial.HERE)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@linux
@as_root
@pytest.mark.usefixtures("namespaces")
def test_a_rung_that_fails_after_it_was_tried_falls_to_the_next_with_a_reason() -> None:
    done = _enter_after_denying("namespaces")
    assert done.stdout.split() == [PRIVATE, HOST, PRIVATE, Step.UNSHARE], done.stderr


@linux
@pytest.mark.usefixtures("namespaces")
def test_half_way_into_a_network_there_is_no_way_back_and_it_says_so() -> None:
    done = _enter_after_denying("loopback-up")
    assert "LabUnavailable: private-network: The system's security module" in done.stderr


@pytest.mark.parametrize(
    ("place", "port"),
    [
        pytest.param(Lab(PRIVATE, real_ports=True), 110, id="the real one"),
        pytest.param(Lab(HOST, real_ports=False), 10110, id="a high one"),
        pytest.param(Lab(RELAY, real_ports=False), 0, id="any, as the relay has the high one"),
    ],
)
def test_servers_listen_where_the_rung_lets_them(place: Lab, port: int) -> None:
    assert place.port_for(110) == port
