"""What each rung gives, and what can stand in its way: plain English, and what to do about it."""

from __future__ import annotations

import errno
from typing import Final

from mailtap.capture.language import N_
from mailtap.demo.network.namespace import Step

_NAMESPACES_OFF: Final = (
    N_("The system does not let this program make a network of its own."),
    N_(
        "In a container, start it with permission to make user namespaces (Docker: --security-opt "
        "seccomp=unconfined). On an older Debian: sudo sysctl kernel.unprivileged_userns_clone=1. Or run "
        "with sudo."
    ),
)
_APPARMOR: Final = (
    N_("The system's security module (AppArmor on Ubuntu 23.10 and later) blocks the private network."),
    N_("Run with sudo, or allow it: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0."),
)

# By step and error number; None stands for every other error.
OBSTACLES: Final[dict[tuple[Step, int | None], tuple[str, str]]] = {
    (Step.SYSTEM, None): (
        N_("Only Linux has private networks."),
        "",
    ),
    (Step.THREADS, None): (
        N_("Threads already run in this program, and a program can enter its network only before that."),
        N_("Enter the lab first, then start servers."),
    ),
    (Step.UNSHARE, None): _NAMESPACES_OFF,
    (Step.UNSHARE, errno.ENOSPC): (
        N_("The system's limit for namespaces is used up, or is zero."),
        N_("Raise it: sudo sysctl user.max_user_namespaces=10000 user.max_net_namespaces=10000."),
    ),
    (Step.ROOT, None): (
        N_("Only root may make a private network in this way."),
        N_("Run with sudo."),
    ),
    (Step.IDENTITY, None): _APPARMOR,
    (Step.IDENTITY, errno.EROFS): (
        N_("/proc is read-only here, as in some containers."),
        N_("Start the container with a writable /proc (Docker: --security-opt systempaths=unconfined)."),
    ),
    (Step.LOOPBACK, None): _APPARMOR,
    (Step.PORTS, None): (
        N_("The mail ports cannot be opened in the private network."),
        N_("Run with sudo."),
    ),
    (Step.CAPTURE, None): (
        N_("The system does not let this user capture packets."),
        N_("Run with sudo; on Windows, install Npcap with its support for loopback."),
    ),
    (Step.FILES, None): (
        N_("As root in a private network, the program could not read its own files: another user owns them."),
        N_("Run without sudo."),
    ),
    (Step.TIME, None): (
        N_("The system did not answer in time."),
        N_("Try again when the machine is less busy."),
    ),
    (Step.ATTEMPT, None): (
        N_("It could not be tried, because of an error that nobody foresaw."),
        "",
    ),
    (Step.ATTEMPT, errno.EAGAIN): (
        N_("The system does not let this user start one more process."),
        N_("End some programs, or raise the limit (ulimit -u)."),
    ),
    (Step.RELAY, None): (
        N_("The system does not let this program listen on 127.0.0.1, not even for itself."),
        N_("Allow local TCP connections: a sandbox or a firewall forbids them."),
    ),
}
