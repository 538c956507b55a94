"""The guide to testing a client is true: its tests do what it says, to the word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trustme

from mailtap.demo.telling import dialogue
from mailtap.demo.testing import attacks, factory, offers
from mailtap.servers import runner

IMPORTED_BEFORE = (trustme, dialogue, factory, runner)  # as in test_plugin_in_a_session

pytest_plugins = ["pytester"]

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "testing-your-client.md").read_text(encoding="utf-8")
QUICK = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:timeout")


def without_numbers(text: str) -> str:
    return re.sub(r"packet \d+", "packet N", text)


@pytest.mark.parametrize("mode", ["auto", "relay"])
def test_its_tests_are_green_but_the_last_one(pytester, mode):
    for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        name = re.match(r"# (\w+\.py)\n", block)
        assert name is not None
        (pytester.path / name[1]).write_text(block, encoding="utf-8")
    result = pytester.runpytest_inprocess(*QUICK, f"--mail-tap={mode}", "--strict-markers")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_stripped.py*"])
    (promised,) = re.findall(r"```text\n(.*?)```", GUIDE, re.DOTALL)
    assert without_numbers(promised) in without_numbers(result.stdout.str())


def test_it_installs_from_a_checkout_and_names_every_server():
    assert re.findall(r"^pip install (.*)$", GUIDE, re.MULTILINE) == ['"/path/to/mailtap[pytest]"']
    (servers,) = re.findall(r"^`mail_tap` runs (.*) on the loopback", GUIDE, re.MULTILINE)
    assert re.findall("SMTP|POP3|IMAP", servers) == [protocol.upper() for protocol in offers.PROTOCOLS]


def test_it_names_every_attack_and_every_marker_is_in_it():
    for attack in attacks.ATTACKS:
        assert f"| `{attack.name}` |" in GUIDE
