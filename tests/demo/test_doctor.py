"""The doctor reports what this machine really does, and what to install on which system."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import denial
import lessons
import pytest
from wcwidth import wcswidth

from mailtap.demo import doctor
from mailtap.demo.doctor import PURPOSES, diagnose, family_of, install_command
from mailtap.demo.network.namespace import Step
from mailtap.demo.network.obstacles import OBSTACLES
from mailtap.demo.network.rungs import GIVES, Rung

if TYPE_CHECKING:
    from pathlib import Path


def test_every_rung_is_reported_in_order_and_the_first_that_works_is_chosen() -> None:
    diagnosis = diagnose()
    assert [probe.rung for probe in diagnosis.probes] == list(Rung)
    assert diagnosis.chosen == next(probe.rung for probe in diagnosis.probes if probe.works)
    for probe in diagnosis.probes:
        assert probe.reason
        assert bool(probe.detail) is not probe.works
    assert diagnosis.python.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert diagnosis.system


@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_it_says_fits_the_terminal_wherever_the_tools_are(language: str, tmp_path: Path) -> None:
    folder = tmp_path / "Applications" / "Wireshark.app" / "Contents" / "MacOS"
    folder.mkdir(parents=True)
    (folder / "tshark").touch(mode=0o755)
    told = lessons.tell("doctor", "--lang", language, PATH=str(folder), COLUMNS="80")
    lines = told.out.splitlines()
    assert [line for line in lines if wcswidth(line) > 80 and str(folder) not in line] == []
    (at,) = (number for number, line in enumerate(lines) if "tshark:" in line)
    assert lines[at + 1].startswith("   "), "what does not fit into its line is indented"


@pytest.mark.skipif(not denial.can_filter(), reason="only where this test knows the system calls")
def test_what_is_denied_is_reported_with_reason_and_mend() -> None:
    program = (
        "import json, sys; from dataclasses import asdict; from mailtap.demo.doctor import diagnose\n"
        "sys.path.insert(0, sys.argv[1]); import denial; denial.deny(sys.argv[2:])\n"
        "print(json.dumps(asdict(diagnose()), default=str))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(denial.HERE), "namespaces", "packet-sockets"],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    assert report["chosen"] == Rung.RELAY
    *denied, relay = report["probes"]
    assert all(probe["reason"] and probe["mend"] and not probe["works"] for probe in denied)
    assert all("Operation not permitted" in probe["detail"] for probe in denied)
    assert relay["works"]


def test_a_tool_is_found_where_its_installer_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tshark"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(doctor, "_FURTHER_FOLDERS", (str(tmp_path),))
    found = {tool.name: tool.path for tool in diagnose().tools}
    assert found == {"tshark": program, "wireshark": None, "editcap": None, "tcpdump": None}


@pytest.mark.parametrize(
    ("system", "release", "command"),
    [
        pytest.param("linux", {"ID": "debian"}, "sudo apt install tshark", id="Debian"),
        pytest.param("linux", {"ID": "ubuntu", "ID_LIKE": "debian"}, "sudo apt install tshark", id="Ubuntu"),
        pytest.param(
            "linux", {"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "sudo apt install tshark", id="Mint"
        ),
        pytest.param("linux", {"ID": "fedora"}, "sudo dnf install wireshark-cli", id="Fedora"),
        pytest.param(
            "linux",
            {"ID": "rocky", "ID_LIKE": "rhel centos fedora"},
            "sudo dnf install wireshark-cli",
            id="Rocky",
        ),
        pytest.param("linux", {"ID": "arch"}, "sudo pacman -S wireshark-cli", id="Arch"),
        pytest.param("linux", {"ID": "alpine"}, "sudo apk add tshark", id="Alpine"),
        pytest.param("darwin", {}, "brew install wireshark", id="macOS"),
        pytest.param("win32", {}, "winget install WiresharkFoundation.Wireshark", id="Windows"),
        pytest.param("linux", {"ID": "nixos"}, "", id="one it does not know"),
    ],
)
def test_how_to_install_tshark(system: str, release: dict[str, str], command: str) -> None:
    assert install_command(family_of(system, release), "tshark") == command


@pytest.mark.parametrize("family", ["debian", "fedora", "arch", "alpine", "suse", "darwin"])
def test_every_tool_can_be_installed_on_every_system_named(family: str) -> None:
    assert all(install_command(family, tool) for tool in PURPOSES)


def test_every_step_that_can_fail_and_every_rung_has_its_words() -> None:
    assert {step for step, number in OBSTACLES if number is None} == set(Step)
    assert set(GIVES) == set(Rung)
