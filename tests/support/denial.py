"""Really deny things to a process, as containers, limits and ordinary accounts do (Linux).

Run as a script, it denies what it is told and then runs a Python program in the same process:

    python denial.py namespaces,packet-sockets program.py arguments…

`in_lab` runs the exchange of `labprogram.py` that way and returns what it reported.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import platform
import runpy
import struct
import subprocess
import sys
from pathlib import Path

from mailtap.demo.network import namespace

HERE = Path(__file__).parent
ORDINARY = 54321  # a user id that owns nothing

# System calls by machine (x86-64: asm/unistd_64.h; AArch64: asm-generic/unistd.h), and AUDIT_ARCH_.
MACHINES = {
    "x86_64": (0xC000003E, {"socket": 41, "unshare": 272, "ioctl": 16}),
    "aarch64": (0xC00000B7, {"socket": 198, "unshare": 97, "ioctl": 29}),
}
# What is denied: system call, which argument, and the bits of it that are looked at (None: all of them).
DENIALS = {
    "namespaces": ("unshare", 0, 0x50000000, None),  # CLONE_NEWUSER, CLONE_NEWNET
    "user-namespaces": ("unshare", 0, 0x10000000, None),
    "packet-sockets": ("socket", 0, None, 17),  # AF_PACKET
    "loopback-up": ("ioctl", 1, None, 0x8914),  # SIOCSIFFLAGS
    "sockets": ("socket", 0, None, 2),  # AF_INET
}

BPF_LOAD, BPF_EQUAL, BPF_ANY_BIT, BPF_RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, DENY = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def can_filter() -> bool:
    """Return whether this machine's system calls are known here."""
    return sys.platform == "linux" and platform.machine() in MACHINES


def deny(names: list[str]) -> None:
    """Have the kernel refuse things to this process and its children for good (seccomp(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for name in names:
        code = _program(*DENIALS[name])
        block = ctypes.create_string_buffer(code, len(code))
        head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(block))
        if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(head), 0, 0):
            raise OSError(ctypes.get_errno(), name)


def _program(call: str, argument: int, bits: int | None, value: int | None) -> bytes:
    """Return a filter: of struct seccomp_data, nr is at 0, arch at 4, the arguments from 16 on."""
    architecture, numbers = MACHINES[platform.machine()]
    test = (BPF_EQUAL, value) if bits is None else (BPF_ANY_BIT, bits)
    steps = [
        (BPF_LOAD, 0, 0, 4),
        (BPF_EQUAL, 0, 5, architecture),
        (BPF_LOAD, 0, 0, 0),
        (BPF_EQUAL, 0, 3, numbers[call]),
        (BPF_LOAD, 0, 0, 16 + 8 * argument),
        (test[0], 0, 1, test[1]),
        (BPF_RETURN, 0, 0, DENY),
        (BPF_RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def nest_without(limits: list[str]) -> None:
    """Move into a new network in which these limits of user_namespaces(7) are zero."""
    namespace.enter_private_network()
    for limit in limits:
        Path("/proc/sys/user", limit).write_text("0")


def make_proc_read_only() -> None:
    """See /proc read-only from now on, as in many containers; needs root (mount(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    private, remount = 1 << 18 | 1 << 14, 32 | 4096 | 1  # MS_PRIVATE|MS_REC, MS_REMOUNT|MS_BIND|MS_RDONLY
    if libc.unshare(0x20000) or libc.mount(None, b"/", None, private, None):
        raise OSError(ctypes.get_errno(), "a mount namespace")
    if libc.mount(b"/proc", b"/proc", None, 4096, None) or libc.mount(None, b"/proc", None, remount, None):
        raise OSError(ctypes.get_errno(), "a read-only /proc")


PREPARATIONS = {
    "no-user-namespaces-left": lambda: nest_without(["max_user_namespaces"]),
    "no-namespaces-left": lambda: nest_without(["max_user_namespaces", "max_net_namespaces"]),
    "read-only-proc": make_proc_read_only,
}


def run(
    denials: list[str],
    *program: str,
    ordinary: bool = False,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a Python program with things denied to it, in a session of its own.

    `ordinary` runs it as a user without any rights, where this process is root.
    """
    command = [sys.executable, str(HERE / "denial.py"), ",".join(denials), *program]
    # Not as `user=`: the interpreter may lie in root's own directory, but it is open to read already.
    identity = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []} if ordinary and _is_root() else {}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
        env={**os.environ, **(environment or {})},
        check=False,
        **identity,
    )


@functools.cache
def refusal(rung: str) -> str:
    """Return what this machine has against a rung, in the system's words; empty where it works.

    It is tried in a process of its own, as the one that runs tests may have threads already.
    """
    program = "import sys; from mailtap.demo.network.rungs import *; print(probe(Rung(sys.argv[1])).detail)"
    command = [sys.executable, "-c", program, rung]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def ordinary_user_can_run() -> bool:
    """Return whether a user without any rights can run this interpreter on this work tree."""
    try:
        return run([], str(HERE / "labprogram.py"), "--nothing", ordinary=True).returncode == 0
    except PermissionError:
        return False


def in_lab(
    denials: list[str],
    *arguments: str,
    ordinary: bool = False,
    environment: dict[str, str] | None = None,
) -> dict[str, object]:
    """Run `labprogram.py` with things denied to it and return its report."""
    done = run(denials, str(HERE / "labprogram.py"), *arguments, ordinary=ordinary, environment=environment)
    if done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}: {done.stderr}")
    report: dict[str, object] = json.loads(done.stdout)
    return report


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def main() -> None:
    """Deny, then run the program."""
    names = [name for name in sys.argv[1].split(",") if name]
    for name in names:
        if name in PREPARATIONS:
            PREPARATIONS[name]()
    deny([name for name in names if name in DENIALS])
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
