"""What to do where a port is taken: go on with one close by, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.capture.language import N_
from mailtap.capture.model import Note

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mailtap.servers import PortTaken

NEAR: Final = 9  # so many ports after the wanted one are tried first: a handout stays nearly right
_LAST: Final = 65535
_TAKEN: Final = N_("Port {port} on {host} is taken by another program. This run goes on with another port.")
_TAKEN_BY: Final = N_(
    "Port {port} on {host} is taken by {name} (process {process}). This run goes on with another port."
)


def alternatives(port: int, others: Collection[int] = ()) -> Iterator[int]:
    """Give the ports to try instead of one that is taken, the closest first, and at last 0: any.

    Args:
        port: the port that was wanted.
        others: ports that are wanted for something else.
    """
    yield from (near for near in range(port + 1, min(port + NEAR, _LAST) + 1) if near not in others)
    yield 0


def remark(taken: PortTaken) -> Note:
    """Return what to tell about it."""
    where = (("port", taken.port), ("host", taken.host))
    if taken.holder is None:
        return Note(text=_TAKEN, values=where)
    return Note(text=_TAKEN_BY, values=(*where, *taken.holder._asdict().items()))
