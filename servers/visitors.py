"""Who has logged in by POP3 from where, for a server that takes mail only from those (POP before SMTP)."""

from __future__ import annotations


class Visitors:
    """The addresses from which somebody has logged in.

    Real servers forget an address after some minutes; this one remembers it for as long as it runs.
    """

    def __init__(self) -> None:
        self._addresses: set[str] = set()

    def note(self, peer: object) -> None:
        """Remember where somebody comes from: a socket's peer, (address, port, …)."""
        if isinstance(peer, tuple) and peer:
            self._addresses.add(str(peer[0]))

    def __contains__(self, peer: object) -> bool:
        return isinstance(peer, tuple) and bool(peer) and str(peer[0]) in self._addresses
