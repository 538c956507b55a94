"""Keeps the captures of runs as files, for Wireshark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailtap.capture.language import N_
from mailtap.capture.sinks import SinkError, is_device, require_writable, write_pcap, write_pcapng

if TYPE_CHECKING:
    from mailtap.demo.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Captures:
    """Where captures are kept.

    Attributes:
        closed: the file for the capture as it was on the wire; None keeps none.
        opened: the file for the capture with the TLS session keys inside; None keeps none.
        several: whether several runs are kept; then each has a file of its own: `lesson-tls.pcap`.
    """

    closed: str | None
    opened: str | None
    several: bool

    def require_writable(self) -> None:
        """Make sure that the files can be written, before anything has run.

        Raises:
            SinkError: one cannot, or both are the same.
        """
        for path in filter(None, (self.closed, self.opened)):
            require_writable(path)
        if self.closed and self.opened and _is_same(self.closed, self.opened):
            text = N_(
                "--pcap and --keys both name {path}. Give two files: the second would replace the first."
            )
            raise SinkError(text, path=self.opened)

    def keep(self, outcome: Outcome) -> None:
        """Write what was asked for; a name that ends in .pcapng asks for that format."""
        if self.closed:
            path = self._place(self.closed, outcome)
            write = write_pcapng if path.suffix == ".pcapng" else write_pcap
            write(path, outcome.packets)
        if self.opened:
            write_pcapng(self._place(self.opened, outcome), outcome.packets, secrets=outcome.key_log)

    def _place(self, name: str, outcome: Outcome) -> Path:
        path = Path(name)
        return path.with_stem(f"{path.stem}-{outcome.scenario.name}") if self.several else path


def _is_same(one: str, other: str) -> bool:
    """Return whether two paths lead to the same file."""
    return Path(one).resolve() == Path(other).resolve() and not is_device(one)
