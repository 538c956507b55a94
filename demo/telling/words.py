"""What the lesson calls things, for people to read: the names of fields, hops, rungs and protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_
from mailtap.demo.scenarios import Hop
from mailtap.servers import Security

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailtap.capture.language import Say
    from mailtap.demo.scenarios import Leg

HOPS: Final = {Hop.SUBMIT: N_("sending"), Hop.RELAY: N_("relaying"), Hop.FETCH: N_("fetching")}

PEOPLE: Final = {
    Hop.SUBMIT: N_("Hanako sends the mail"),
    Hop.RELAY: N_("Hanako's server passes the mail on"),
    Hop.FETCH: N_("Taro fetches the mail"),
}

SERVICE_NAMES: Final = {
    Security.PLAIN: "{protocol}",
    Security.STARTTLS: "{protocol} + STARTTLS",
    Security.TLS: N_("{protocol} over SSL/TLS"),
}

PLACES: Final = {
    "private-network": N_("a private network of this machine"),
    "root-network": N_("a private network of this machine, opened as root"),
    "host-loopback": N_("the loopback interface of this machine"),
    "relay": N_("a relay on this machine's loopback"),
}


def doer(leg: Leg, say: Say) -> str:
    """Return who does what on a leg."""
    return say(leg.tells or PEOPLE[leg.hop])


def listed(names: Iterable[str], say: Say) -> str:
    """Return names one after the other, parted as the reader's language parts them."""
    return say(", ").join(names)


def duration(seconds: float, say: Say) -> str:
    """Return a length of time in its largest unit of which there is more than one: `3 hours`."""
    for length, text in _UNITS:
        if seconds >= 2 * length:
            # More than two digits would claim a precision that no such estimate has.
            return say(text, count=f"{float(f'{seconds / length:.1e}'):,.0f}")
    return say(N_("{count} seconds"), count=f"{seconds:.2f}")


_UNITS: Final = (
    (31_557_600, N_("{count} years")),
    (86_400, N_("{count} days")),
    (3_600, N_("{count} hours")),
    (60, N_("{count} minutes")),
    (1, N_("{count} seconds")),
)
