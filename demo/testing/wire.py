"""The toy servers and a tap before them: set up for one test, and gone after it."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from mailtap.capture.live import CaptureUnavailable, Engine, LiveCapture
from mailtap.capture.model import Endpoint
from mailtap.demo.adversary.notebook import Notebook
from mailtap.demo.network.relay import Relay
from mailtap.demo.network.tap import Tap
from mailtap.demo.testing import canary
from mailtap.demo.testing.errors import NothingHeard, PacketsDropped, TapDeaf, TapUnavailable
from mailtap.demo.testing.follower import Follower
from mailtap.servers import Limits, ToyServers
from mailtap.servers.confidant import tell_nobody

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from mailtap.capture.model import Flow
    from mailtap.demo.testing.hearing import Hearing
    from mailtap.servers import Account, LabCertificates, Mailbox, Service


_LIMITS: Final = Limits(connections=1_000, mailbox_messages=10_000)
"""What a test may do that ordinary clients do not."""


class Mode(StrEnum):
    """How the wire is heard: its packets on the loopback, or its bytes in a relay before each server."""

    PACKETS = "packets"
    RELAY = "relay"


class Wire:
    """Servers, and a tap on all that crosses the wire to them; a context manager.

    Attributes:
        mode: how it is heard.
        services: what runs, by name.
        endpoints: where a client connects, by name.
        asked: whether anybody has asked what was heard.
    """

    def __init__(  # noqa: PLR0913  # all but the first by name
        self,
        services: Mapping[str, Service],
        *,
        mode: Mode,
        host: str,
        account: Account,
        certificates: LabCertificates,
        impostor: bool,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            services: what to run, by name.
            mode: how to hear it.
            host: the IPv4 loopback address of the servers.
            account: who has a mailbox there.
            certificates: what the servers show to clients that ask for TLS.
            impostor: whether what is said inside TLS is heard as well.
        """
        self.mode = mode
        self.services = dict(services)
        self.endpoints: dict[str, Endpoint] = {}
        self._host = host
        self._notebook = Notebook()
        confidant = self._notebook.confide if impostor else tell_nobody
        self._account = account
        self._servers = ToyServers(
            tuple(services.values()),
            accounts=[account],
            certificates=certificates,
            host=host,
            limits=_LIMITS,
            confidant=confidant,
        )
        self._canaries: frozenset[Flow] = frozenset()
        self._planted = 0  # packets of the canaries
        self._tap: Tap | None = None
        self._stack = ExitStack()
        self._follower = Follower()
        self._last: Hearing | None = None
        self.asked = False

    @property
    def mailbox(self) -> Mailbox:
        """The account's mail."""
        return self._servers.mailboxes[self._account.username]

    def hearing(self, *, empty: bool = False) -> Hearing:
        """Return what has crossed the wire until now.

        Args:
            empty: whether an empty wire is an answer too.

        Raises:
            NothingHeard: the client never connected.
            PacketsDropped: the system dropped packets.
            TapDeaf: not all that crossed the wire was heard.
        """
        __tracebackhide__ = True
        self.asked = True
        if self._tap is None:
            raise TapDeaf("This tap is closed: ask it inside the test that it was made for.")
        recording = self._tap.so_far()
        if recording.dropped:
            raise PacketsDropped(
                f"The system dropped {recording.dropped} packets before the tap could hear them, so silence "
                "proves nothing. Let the client send less at once, or use --mail-tap=relay."
            )
        if not recording.complete:
            raise TapDeaf(f"{recording.problem} So silence proves nothing.")
        packets = self._notebook.join(recording.packets, first=self._planted)
        if self._last is None or len(self._last.packets) != len(packets):
            self._last = self._follower.look(packets, self._canaries)
        if not all(stream.whole for stream in self._last.streams):
            raise PacketsDropped("Bytes are missing from what the tap heard, so silence proves nothing.")
        if not empty and not self._last.flows:
            raise NothingHeard(
                "The client never connected, and silence on an empty wire proves nothing. Does it use the "
                f"host and port of the tap? {self._places()}. A test that expects no connection asserts "
                "`mail_tap.sessions == 0`."
            )
        if not empty and not self._last.streams:
            raise NothingHeard(
                "The client connected, but neither side said a word, and such silence proves nothing. Does "
                f"it wait for a greeting where the server waits for TLS? {self._places()}."
            )
        return self._last

    def _places(self) -> str:
        return ", ".join(
            f"{name} {endpoint} ({self.services[name].security})" for name, endpoint in self.endpoints.items()
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._servers)
            targets = {name: self._servers.endpoints[each] for name, each in self.services.items()}
            try:
                self._tap = self._listener(targets).__enter__()
            except CaptureUnavailable as error:
                raise TapUnavailable(f"{error} With --mail-tap=relay no privileges are needed.") from error
            stack.callback(self._tap.discard)
            self.endpoints = {name: Endpoint(*at) for name, at in self._tap.endpoints.items()}
            self._plant()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tap = None
        self._stack.__exit__(kind, error, trace)

    def _listener(self, targets: Mapping[str, tuple[str, int]]) -> Tap:
        if self.mode is Mode.RELAY:
            return Tap(Relay(targets, host=self._host), {})
        ports = [port for _, port in targets.values()]
        return Tap(LiveCapture(ports=ports, engine=Engine.AUTO), dict(targets))

    def _plant(self) -> None:
        """Say something in clear on each port, and hear it."""
        planted = [
            canary.plant(service, self.endpoints[name], f"canary{secrets.token_hex(8)}")
            for name, service in self.services.items()
        ]
        assert self._tap is not None  # noqa: S101  # set just before
        packets = self._tap.so_far().packets
        hearing = self._follower.look(packets)
        canary.check(planted, hearing)
        # Nobody else has spoken yet. Their ports would not tell: the client may be given one of them.
        self._canaries, self._planted = frozenset(hearing.flows), len(packets)
