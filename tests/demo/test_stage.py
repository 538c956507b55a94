"""What the stage finds out by itself, and what it does where a port is taken."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import lessons
import pytest
from spellings import spellings

from mailtap.demo.lab import Lab
from mailtap.demo.network.rungs import Rung
from mailtap.demo.offices import open_servers
from mailtap.demo.scenarios import BY_NAME, Hop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOST = Lab(Rung.HOST_LOOPBACK, real_ports=False)
SERVICES = BY_NAME["plain"].services
# Seconds to wait for whoever has a port in passing.
PATIENCE = 10.0


@pytest.fixture
def hold() -> Iterator[Callable[[int], None]]:
    """Hold a port of this machine.

    Another test may have it in passing and let it go before this one is done: waited for. Who keeps
    it through all the patience (a server of this machine) does this one's work.
    """
    with ExitStack() as stack:

        def hold(port: int) -> None:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
                except OSError:
                    if time.monotonic() > end:
                        return
                    time.sleep(0.05)
                else:
                    return

        yield hold


def test_a_taken_port_is_told_and_the_closest_free_one_is_used(hold: Callable[[int], None]) -> None:
    for port in (10110, 10111):
        hold(port)
    with open_servers(SERVICES, HOST, None) as (servers, services, remarks):
        port = servers.endpoints[services[Hop.FETCH]][1]
        assert services[Hop.FETCH].port == port
        assert 10111 < port <= 10119
    (remark,) = [each for each in remarks if "10110" in str(each)]
    assert "is taken by" in str(remark)
    assert "goes on with another" in str(remark)


def test_where_all_ports_close_by_are_taken_any_will_do(hold: Callable[[int], None]) -> None:
    for port in range(10110, 10120):
        hold(port)
    with open_servers(SERVICES, HOST, None) as (servers, services, remarks):
        assert servers.endpoints[services[Hop.FETCH]][1] not in range(10110, 10120)
    assert len([each for each in remarks if "10110" in str(each)]) == 1


@pytest.mark.parametrize(
    ("rung", "language", "said"),
    [
        pytest.param(
            Rung.HOST_LOOPBACK,
            "en",
            r"Port 10110 on 127.0.0.1 is taken by \S+ \(process {}\)\.",
            id="on the loopback",
        ),
        pytest.param(Rung.RELAY, "en", r"Port 10110 .* \(process {}\)\.", id="through a relay"),
        pytest.param(
            Rung.RELAY,
            "ja",
            r"127.0.0.1 のポート 10110 は、\S+\(プロセス {}\)が使っています。",
            id="in Japanese",
        ),
    ],
)
def test_a_lesson_goes_on_where_another_process_holds_its_port(
    working_rungs: dict[str, str], rung: Rung, language: str, said: str
) -> None:
    if working_rungs[rung]:
        pytest.skip(f"{rung} does not work here: {working_rungs[rung]}")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_PORT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != "held\n":
            pytest.skip("only where nobody else holds port 10110 all the time")
        told = lessons.tell(
            "plain", "--json", "--no-witness", "--rung", rung, "--lang", language, COLUMNS="100"
        )
        holder.communicate("", timeout=20)
    assert told.code == 0
    assert re.search(said.format(holder.pid), told.err)
    (summary,) = told.summaries
    assert summary["ok"]


# Other tests hold it for a while.
HOLD_A_PORT = """
import socket, sys, time
until = time.monotonic() + 30
while True:
    try:
        held = socket.create_server(("127.0.0.1", 10110))
        break
    except OSError:
        if time.monotonic() > until:
            sys.exit()
        time.sleep(0.05)
print("held", flush=True)
sys.stdin.read()
"""

FAULTS = """
from mailtap.servers import ToyServers
ToyServers.faults = property(lambda self: ("the mailbox caught fire",))
"""
CHANGED = """
from mailtap.demo.client import FETCHING
fetched = FETCHING["pop3"]
FETCHING["pop3"] = lambda settings: fetched(settings).replace(b"320000", b"999999").replace(b"From", b"Form")
"""


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(FAULTS, "the mailbox caught fire", id="a fault inside the servers"),
        pytest.param(
            CHANGED, "not the mail that was sent", id="a mail that arrived otherwise than it was sent"
        ),
    ],
)
def test_what_goes_wrong_on_the_stage_is_no_evidence(change: str, complaint: str) -> None:
    told = lessons.tell_with(change, "plain", "--json", "--no-witness")
    (summary,) = told.summaries
    assert (told.code, summary["ok"]) == (1, False)
    assert any(complaint in problem for problem in summary["problems"]), summary["problems"]


def test_challenges_differ_from_login_to_login_and_from_run_to_run() -> None:
    challenges = [
        leak["challenge"]
        for _ in range(2)
        for leak in lessons.tell("apop", "--json", "--no-witness").leaks
        if leak["field"] == "digest"
    ]
    assert len(set(challenges)) == len(challenges) == 4


NAMED = """
import os, platform, socket
socket.gethostname = platform.node = lambda: "my-own-computer"
socket.getfqdn = lambda *_: "my-own-computer.my-company.example"
os.uname = lambda: os.uname_result(("Linux", "my-own-computer", "", "", ""))
"""


@pytest.mark.parametrize("name", ["plain", "apop", "tls", "relay-plain"])
def test_this_machines_own_name_is_nowhere_in_a_capture(name: str, tmp_path: Path) -> None:
    files = tmp_path / "closed.pcap", tmp_path / "open.pcapng"
    told = lessons.tell_with(NAMED, name, "--json", "--no-witness", "--pcap", files[0], "--keys", files[1])
    assert told.code == 0
    for content in (told.out.encode(), *(file.read_bytes() for file in files)):
        for own in ("my-own-computer", "my-company"):
            assert not [spelling for spelling, octets in spellings(own).items() if octets in content]


@pytest.mark.parametrize("command", [["servers"], ["servers", "--tap"]], ids=" ".join)
def test_a_terminal_that_goes_away_ends_it_and_leaves_nothing(command: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READY, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=lessons.environment(TMPDIR=str(tmp_path)),
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        assert program.stdout.readline() != b""
        program.send_signal(signal.SIGHUP)
        _, err = program.communicate(timeout=20)
    assert b"Traceback" not in err
    assert program.returncode in (128 + signal.SIGHUP, -signal.SIGHUP)
    assert list(tmp_path.iterdir()) == []


READY = """
import sys
from mailtap.demo.command import main
print("ready", flush=True)
sys.exit(main())
"""
