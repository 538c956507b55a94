"""What `mailtap demo` prints as JSON and keeps as captures, on every rung that this machine has.

That each row leaks just what it says is in test_every_row_live.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING

import lessons
import pytest
from spellings import spellings

from mailtap.demo import cast
from mailtap.demo.network.rungs import Rung
from mailtap.demo.scenarios import BY_NAME, Hop

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Lesson

    Run = Callable[[str, str], Lesson]

NAMES = ("plain", "apop", "tls", "relay-plain")
EVERY_RUNG = pytest.mark.parametrize("rung", [str(rung) for rung in Rung])
EVERY_SCENARIO = pytest.mark.parametrize("name", NAMES)

VALUES = {
    (Hop.SUBMIT, "username"): "hanako",
    (Hop.SUBMIT, "password"): "sakura2024",
    (Hop.FETCH, "username"): "taro",
    (Hop.FETCH, "password"): "fujisan2023",
    "sender": "hanako@lab.example",
    "recipient": "taro@lab.example",
    "subject": "【社外秘】来期の給与について (salaries, confidential)",
    "attachment": "給与案.csv",
}


@EVERY_RUNG
@EVERY_SCENARIO
def test_leaks_just_what_its_row_says(lesson: Run, name: str, rung: str) -> None:
    told = lesson(name, rung).told
    assert told.complaints == ""
    assert told.code == 0
    (summary,) = told.summaries
    expected = {str(hop): sorted(fields) for hop, fields in BY_NAME[name].expected.items()}
    heard = defaultdict(set)
    for leak in told.leaks:
        if not leak.get("guessed"):
            heard[leak["hop"]].add(leak["field"])
    assert {hop: sorted(fields) for hop, fields in heard.items()} == expected
    assert summary["leaked"] == summary["expected"] == expected
    assert summary["unexpected"] == summary["missing"] == {}
    assert (summary["rung"], summary["dropped"], summary["ok"]) == (rung, 0, True)
    assert summary["problems"] == []


@EVERY_RUNG
@EVERY_SCENARIO
def test_the_values_are_what_was_sent(lesson: Run, name: str, rung: str) -> None:
    for leak in lesson(name, rung).told.leaks:
        known = VALUES.get((leak["hop"], leak["field"]), VALUES.get(leak["field"]))
        if known is not None:
            assert leak["value"] == known
        if leak["field"] == "body":
            assert leak["value"].rstrip().splitlines() == cast.BODY.rstrip().splitlines()
        assert leak["scenario"] == name
        assert leak["packets"] == sorted(set(leak["packets"]))
        assert leak["packets"]


@EVERY_RUNG
def test_apop_hides_the_password_and_a_word_list_finds_it(lesson: Run, rung: str) -> None:
    told = lesson("apop", rung).told
    capture = lesson("apop", rung).pcap.read_bytes()
    for secret in (cast.HANAKO.password, cast.TARO.password):
        assert not [octets for octets in spellings(secret).values() if octets in capture]
    guessed = {(leak["hop"], leak["field"]): leak["value"] for leak in told.leaks if leak.get("guessed")}
    assert guessed == {("submit", "password"): "sakura2024", ("fetch", "password"): "fujisan2023"}
    digests = [leak for leak in told.leaks if leak["field"] == "digest"]
    assert {leak["mechanism"] for leak in digests} == {"CRAM-MD5", "APOP"}
    assert all(leak["challenge"].startswith("<") for leak in digests)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@EVERY_RUNG
def test_wireshark_opens_the_same_capture_opaque_and_readable(lesson: Run, rung: str) -> None:
    def dissect(path: object) -> str:
        ports = lesson("tls", rung).told.leaks
        options = [f"-dtcp.port=={leak['server'].rsplit(':', 1)[1]},tls" for leak in ports]
        shown = subprocess.run(
            ["tshark", "-r", str(path), *options, "-V"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return shown.stdout

    assert cast.TARO.password not in dissect(lesson("tls", rung).pcap)
    assert f"PASS {cast.TARO.password}" in dissect(lesson("tls", rung).keys)


SWAP = """
import dataclasses
from mailtap.demo import scenarios
plain, tls = scenarios.BY_NAME["plain"], scenarios.BY_NAME["tls"]
scenarios.BY_NAME["plain"] = dataclasses.replace(plain, expected=tls.expected)
scenarios.BY_NAME["tls"] = dataclasses.replace(tls, expected=plain.expected)
"""


@pytest.mark.parametrize(
    ("name", "unexpected", "missing"),
    [
        pytest.param("plain", "password", "server_name", id="plain with the expectation of tls"),
        pytest.param("tls", "server_name", "password", id="tls with the expectation of plain"),
    ],
)
def test_swapped_expectations_fail_loudly(name: str, unexpected: str, missing: str) -> None:
    told = lessons.tell_with(SWAP, name, "--json", "--no-witness")
    (summary,) = told.summaries
    assert told.code == 1
    assert not summary["ok"]
    assert unexpected in summary["unexpected"]["fetch"]
    assert missing in summary["missing"]["fetch"]
    story = lessons.tell_with(SWAP, name, "--no-witness")
    assert story.code == 1
    assert "NOT AS EXPECTED" in story.out


DROPS = """
import dataclasses
from mailtap.demo import stage
heard = stage.perform
def lossy(*asked):
    run = heard(*asked)
    return dataclasses.replace(run, recording=dataclasses.replace(run.recording, {change}))
stage.perform = lossy
"""


@pytest.mark.parametrize("scenario", ["apop", "tls"])
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param("dropped=3", "dropped 3 packets", id="the kernel dropped packets"),
        pytest.param("dropped=1", "dropped a packet", id="the kernel dropped one"),
        pytest.param("complete=False, problem='it went deaf'", "it went deaf", id="the listener went deaf"),
        pytest.param("packets=()", "saw nothing of the submit hop", id="no packets at all"),
        pytest.param("packets=run.recording.packets[:-3]", "from start to end", id="the end is missing"),
        pytest.param("packets=run.recording.packets[4:]", "from start to end", id="the beginning is missing"),
        pytest.param("packets=run.recording.packets[::2]", "from start to end", id="every second is missing"),
    ],
)
def test_a_capture_that_is_not_whole_fails_loudly(change: str, complaint: str, scenario: str) -> None:
    told = lessons.tell_with(DROPS.format(change=change), scenario, "--json", "--no-witness")
    (summary,) = told.summaries
    assert told.code == 1
    assert not summary["ok"]
    assert any(complaint in problem for problem in summary["problems"])
    assert (
        "This run is no evidence"
        in lessons.tell_with(DROPS.format(change=change), scenario, "--no-witness").out
    )
