"""The network in which the demo runs: choose a rung of the ladder, enter it, and tap what crosses it.

The caller's code is the same on every rung:

    lab = enter(choose().rung)
    …start servers on lab.port_for(110)…
    with lab.tap({"pop3": ("127.0.0.1", 110)}) as tap:
        …talk to tap.endpoints["pop3"]…
    recording = tap.finish()
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mailtap.capture.live import LiveCapture
from mailtap.demo.network import rungs
from mailtap.demo.network.namespace import NamespaceError
from mailtap.demo.network.relay import Relay
from mailtap.demo.network.rungs import Probe, Rung, probe
from mailtap.demo.network.tap import Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mailtap.capture.model import Packet
    from mailtap.servers import Service

__all__ = ["Lab", "LabUnavailable", "Probe", "Rung", "Tap", "choose", "enter", "probe"]

HIGH_PORTS: Final = 10_000  # added to a port that only root may open: 110 becomes 10110


class LabUnavailable(Exception):  # noqa: N818  # a condition of this machine, in plain English
    """No rung works, or the one that was asked for does not.

    Attributes:
        probes: what was tried, best first, with reason and mend.
    """

    def __init__(self, probes: Iterable[Probe]) -> None:
        self.probes = tuple(probes)
        super().__init__("\n".join(f"{p.rung}: {p.reason} {p.mend}".rstrip() for p in self.probes))


@dataclass(frozen=True, slots=True)
class Lab:
    """A rung that has been entered.

    Attributes:
        rung: which.
        real_ports: whether the real mail ports (25, 110, 465, 995) can be opened.
        stayed_root: whether the program has kept root's rights.
        notes: what to tell about it, in plain English; keys for translation.
        failed: rungs that worked when tried but failed to be entered.
    """

    rung: Rung
    real_ports: bool
    stayed_root: bool = False
    notes: tuple[str, ...] = ()
    failed: tuple[Probe, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """All that is worth saying about it: what to tell, and why better rungs failed."""
        return (*self.notes, *(probe.reason for probe in self.failed))

    def port_for(self, well_known: int) -> int:
        """Return the port on which a server should listen, instead of a well-known one.

        On the relay it is 0, any port: clients talk to the relay, which takes the high port itself
        where `tap` is told.
        """
        if self.real_ports:
            return well_known
        return 0 if self.rung is Rung.RELAY else HIGH_PORTS + well_known

    def place(self, service: Service) -> Service:
        """Return a service moved to the port on which it can listen here."""
        return replace(service, port=self.port_for(service.port))

    def tap(
        self,
        targets: Mapping[str, tuple[str, int]],
        *,
        well_known: Mapping[str, int] | None = None,
        on_packets: Callable[[Sequence[Packet]], None] | None = None,
        keep: bool = True,
        alone: bool = False,
    ) -> Tap:
        """Return a tap on the traffic of some servers; it begins as a context manager.

        Args:
            targets: host and port of each server, by name.
            well_known: the well-known port of each, by name, so that a relay can listen on a
                telling one; without it, on any.
            on_packets: called with the packets that came together, in the tap's own thread.
            keep: whether to keep the packets for the recording; without it, memory does not grow.
            alone: whether to leave out all traffic that is not with these servers; where others share
                the network it is left out anyway.
        """
        if self.rung is Rung.RELAY:
            ports = {name: HIGH_PORTS + port for name, port in (well_known or {}).items()}
            return Tap(Relay(targets, ports=ports, on_packets=on_packets, keep=keep), {})
        # In a network of the program's own there is nobody else whose traffic must be left out.
        shared = self.rung is Rung.HOST_LOOPBACK
        ours = [port for _, port in targets.values()] if shared or alone else []
        return Tap(LiveCapture(ports=ours, on_packets=on_packets, keep=keep), dict(targets))


def choose(forced: Rung | None = None) -> Probe:
    """Try the rungs, best first, and return the first that works.

    Call it before any thread starts.

    Args:
        forced: the only rung to try.

    Raises:
        LabUnavailable: none works, or the forced one does not.
    """
    tried: list[Probe] = []
    for rung in (forced,) if forced else Rung:
        tried.append(probe(rung))
        if tried[-1].works:
            return tried[-1]
    raise LabUnavailable(tried)


def enter(rung: Rung) -> Lab:
    """Enter a rung; where the system refuses it after all, the next below it that works.

    A process enters a lab once, before any thread starts and after it has opened the files that it
    will write to: in a private network it may have lost the right to.

    Args:
        rung: which, as `choose` returned it.

    Raises:
        LabUnavailable: neither this rung nor one below it can be entered, as after a failure
            half-way into a network, which there is no way out of.
    """
    ladder = list(Rung)
    tried: list[Probe] = []
    for candidate in ladder[ladder.index(rung) :]:
        if tried and not (result := probe(candidate)).works:
            tried.append(result)
            continue
        try:
            lab = _ENTER[candidate]()
        except NamespaceError as error:
            tried.append(rungs.failed(candidate, error))
        else:
            return replace(lab, failed=tuple(tried))
    raise LabUnavailable(tried)


def enter_unheard() -> Lab:
    """Enter this machine's loopback, and give up the right to listen to it.

    Raises:
        LabUnavailable: root's rights could not be given up.
    """
    try:
        return replace(_relay(), rung=Rung.HOST_LOOPBACK)
    except NamespaceError as error:
        raise LabUnavailable([rungs.failed(Rung.HOST_LOOPBACK, error)]) from error


def _private_network() -> Lab:
    rungs.enter_private_network()
    return Lab(Rung.PRIVATE_NETWORK, real_ports=True)


def _root_network() -> Lab:
    notes = rungs.enter_root_network()
    return Lab(Rung.ROOT_NETWORK, real_ports=True, stayed_root=bool(notes), notes=notes)


def _host_loopback() -> Lab:
    notes = rungs.leave_root(listening=True)
    return Lab(Rung.HOST_LOOPBACK, real_ports=False, stayed_root=bool(notes), notes=notes)


def _relay() -> Lab:
    notes = rungs.leave_root(listening=False)
    return Lab(Rung.RELAY, real_ports=False, stayed_root=bool(notes), notes=notes)


_ENTER: Final[dict[Rung, Callable[[], Lab]]] = {
    Rung.PRIVATE_NETWORK: _private_network,
    Rung.ROOT_NETWORK: _root_network,
    Rung.HOST_LOOPBACK: _host_loopback,
    Rung.RELAY: _relay,
}
