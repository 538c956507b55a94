"""Give up root's rights for those of the user who ran sudo (credentials(7), capabilities(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mailtap.demo.network.libc import call
from mailtap.demo.network.namespace import NamespaceError, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_PR_SET_DUMPABLE: Final = 4  # prctl(2)
_PR_SET_KEEPCAPS: Final = 8
_CAPABILITY_VERSION_3: Final = 0x20080522  # capget(2)
_CAP_NET_BIND_SERVICE: Final = 10
_CAP_NET_RAW: Final = 13


@dataclass(frozen=True, slots=True)
class Identity:
    """A user to become: user, group and further groups, by number."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def is_root() -> bool:
    """Return whether this process has root's rights."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def invoking_user(environment: Mapping[str, str]) -> Identity | None:
    """Return the user who ran sudo, from SUDO_UID and SUDO_GID (sudo(8)); None where there is none.

    Args:
        environment: such as `os.environ`.
    """
    try:
        uid, gid = int(environment["SUDO_UID"]), int(environment["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    return Identity(uid, gid, _groups_of(uid, gid)) if uid > 0 and gid >= 0 else None


def could_read(identity: Identity, files: Iterable[Path]) -> bool:
    """Return whether another user could read all of these files; this process must be root.

    Args:
        identity: the other user.
        files: what to try.
    """
    groups, group = os.getgroups(), os.getegid()
    with ExitStack() as back:  # only what could be given up is taken back
        try:
            os.setgroups(identity.groups)
            back.callback(os.setgroups, groups)
            os.setegid(identity.gid)
            back.callback(os.setegid, group)
            os.seteuid(identity.uid)
            back.callback(os.seteuid, 0)
        except OSError:  # a root without these capabilities, as in a container
            return False
        return all(os.access(file, os.R_OK, effective_ids=True) for file in files)


def become(identity: Identity, *, listening: bool) -> None:
    """Become another user for good; this process must be root.

    Args:
        identity: whom to become.
        listening: whether to keep the right to capture and to bind low ports. Programs that are
            started afterwards do not have even these.

    Raises:
        NamespaceError: with `Step.IDENTITY`.
    """
    try:
        call("prctl", _PR_SET_KEEPCAPS, int(listening), 0, 0, 0)
        os.setgroups(identity.groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
        if listening:
            kept = 1 << _CAP_NET_RAW | 1 << _CAP_NET_BIND_SERVICE
            header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
            call("capset", header, ctypes.create_string_buffer(struct.pack("6I", kept, kept, 0, 0, 0, 0)))
        # Else /proc/self still belongs to root, and the maps of a user namespace cannot be written.
        call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)
    except OSError as error:
        raise NamespaceError(Step.IDENTITY, error) from error


def _groups_of(uid: int, gid: int) -> tuple[int, ...]:
    """Return the user's groups by the system's records; the one group alone where it has none."""
    import pwd  # noqa: PLC0415  # only for sudo, and Windows has none

    try:
        return tuple(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except KeyError:
        return (gid,)
