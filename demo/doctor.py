"""Examine this machine: which rungs of the ladder work, and which helpful programs are here."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_
from mailtap.demo.network.rungs import Probe, Rung, probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that the demo can do without, and is better with.

    Attributes:
        name: as it is called.
        purpose: what it adds, in plain English; a key for translation.
        path: where it was found; None where it was not.
        install: the command that installs it on this system; empty where none is known.
    """

    name: str
    purpose: str
    path: Path | None
    install: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found out about this machine.

    Attributes:
        system: its name and version, such as `Debian GNU/Linux 12 (bookworm)`.
        python: the version and path of the interpreter.
        probes: each rung, best first.
        chosen: the rung that the demo will use; None where none works.
        tools: the programs looked for.
    """

    system: str
    python: str
    probes: tuple[Probe, ...]
    chosen: Rung | None
    tools: tuple[Tool, ...]


PURPOSES: Final = {
    "tshark": N_("reads each capture a second time, as a witness"),
    "wireshark": N_("shows captures in windows"),
    "editcap": N_("puts TLS keys into a capture file"),
    "tcpdump": N_("shows captures in the terminal"),
}

# How a system installs, and the package that each program is in.
_APT: Final = "sudo apt install {package}"
_DNF: Final = "sudo dnf install {package}"
_PACMAN: Final = "sudo pacman -S {package}"
_APK: Final = "sudo apk add {package}"
_ZYPPER: Final = "sudo zypper install {package}"
_BREW: Final = "brew install {package}"
_WINGET: Final = "winget install {package}"

_PACKAGES: Final[dict[str, tuple[str, Mapping[str, str]]]] = {
    "debian": (
        _APT,
        {"tshark": "tshark", "wireshark": "wireshark", "editcap": "wireshark-common", "tcpdump": "tcpdump"},
    ),
    "fedora": (
        _DNF,
        {
            "tshark": "wireshark-cli",
            "wireshark": "wireshark",
            "editcap": "wireshark-cli",
            "tcpdump": "tcpdump",
        },
    ),
    "arch": (
        _PACMAN,
        {
            "tshark": "wireshark-cli",
            "wireshark": "wireshark-qt",
            "editcap": "wireshark-cli",
            "tcpdump": "tcpdump",
        },
    ),
    "alpine": (
        _APK,
        {"tshark": "tshark", "wireshark": "wireshark", "editcap": "wireshark-common", "tcpdump": "tcpdump"},
    ),
    "suse": (
        _ZYPPER,
        {"tshark": "wireshark", "wireshark": "wireshark", "editcap": "wireshark", "tcpdump": "tcpdump"},
    ),
    "darwin": (
        _BREW,
        {
            "tshark": "wireshark",
            "wireshark": "--cask wireshark-app",
            "editcap": "wireshark",
            "tcpdump": "tcpdump",
        },
    ),
    "win32": (
        _WINGET,
        dict.fromkeys(("tshark", "wireshark", "editcap"), "WiresharkFoundation.Wireshark"),
    ),
}
# Where Wireshark's own installers put what they do not put on the path.
_FURTHER_FOLDERS: Final = (
    "/Applications/Wireshark.app/Contents/MacOS",
    r"C:\Program Files\Wireshark",
    "/usr/sbin",
)


def diagnose() -> Diagnosis:
    """Try each rung for real and look for the tools. Call it before any thread starts."""
    probes = tuple(probe(rung) for rung in Rung)
    release = _release()
    family = family_of(sys.platform, release)
    return Diagnosis(
        system=release.get("PRETTY_NAME") or platform.platform(terse=True),
        python=f"{platform.python_version()} ({sys.executable})",
        probes=probes,
        chosen=next((result.rung for result in probes if result.works), None),
        tools=tuple(
            Tool(name, purpose, _find(name), install_command(family, name))
            for name, purpose in PURPOSES.items()
        ),
    )


def family_of(system: str, release: Mapping[str, str]) -> str:
    """Return which of the known families of systems this is; empty where it is none.

    Args:
        system: `sys.platform`.
        release: the fields of os-release(5), where there is one.
    """
    candidates: Iterable[str] = (system, release.get("ID", ""), *release.get("ID_LIKE", "").split())
    return next((name for name in candidates if name in _PACKAGES), "")


def install_command(family: str, tool: str) -> str:
    """Return the command that installs a tool on a family of systems; empty where none is known."""
    command, packages = _PACKAGES.get(family, ("", {}))
    return command.format(package=packages[tool]) if tool in packages else ""


def _release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _find(name: str) -> Path | None:
    """Return where a program is; the installers' own folders come after the path."""
    folders = os.pathsep.join((os.environ.get("PATH", os.defpath), *_FURTHER_FOLDERS))
    found = shutil.which(name, path=folders)
    return Path(found) if found else None
