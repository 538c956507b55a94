"""What one run of a scenario showed: what was heard, what was expected, and whether the two agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtap.capture.language import N_
from mailtap.capture.model import Field, Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailtap.capture.model import Conversation, Endpoint, Flow, Leak, Packet
    from mailtap.demo.guessing import Attempt
    from mailtap.demo.scenarios import Hop, Scenario
    from mailtap.demo.screen import Screen

Fields = dict["Hop", tuple[Field, ...]]

_DROPPED = N_("the capture dropped {count} packets, so silence proves nothing")
_DROPPED_ONE = N_("the capture dropped a packet, so silence proves nothing")
_NOT_DELIVERED = N_("the mail that was fetched is not the mail that was sent")
_UNSEEN = N_("the listener saw nothing of the {hop} hop")
_OTHER_LOOT = N_("the attacker on the {hop} hop did not get just what this scenario says")
_HALF_SEEN = N_("the listener did not see the {hop} hop from start to end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run of one scenario, from the capture alone; the expectation is only compared with it.

    Attributes:
        scenario: the row that ran.
        rung: where it ran (`private-network`, `root-network`, `host-loopback`, `relay`).
        endpoints: for each leg of the row, where the mail program connected to.
        packets: the capture.
        dropped: packets that the capture lost.
        delivered: whether the mail that was fetched is the mail that was sent; where the row delivers
            nothing, whether nothing was.
        screens: for each leg of the row, what the mail program showed to its user.
        read: for each hop with somebody in the path, what he read, from his own side alone. It was not on
            the wire unless it is among the leaks, too.
        loot: for each hop with an attack on it, the fields that the attacker got.
        leaks: what the listener heard on the wire, in the order seen.
        notes: why it did not hear more.
        conversations: every flow as the eavesdropper saw it.
        attempts: for each digest that was heard, the attempt to guess the password behind it.
        key_log: the TLS session keys (NSS key log format), kept by the server for teaching; may be empty.
        failures: what went wrong in the run itself, in plain English; empty in a good run.
        remarks: what else is worth saying of it.
    """

    scenario: Scenario
    rung: str
    endpoints: tuple[Endpoint, ...]
    packets: tuple[Packet, ...]
    dropped: int
    delivered: bool
    screens: tuple[Screen, ...] = ()
    read: Mapping[Hop, tuple[Leak, ...]] = field(default_factory=dict)
    loot: Mapping[Hop, frozenset[Field]] = field(default_factory=dict)
    leaks: tuple[Leak, ...]
    notes: tuple[Note, ...]
    conversations: tuple[Conversation, ...]
    attempts: tuple[Attempt, ...] = ()
    key_log: bytes = b""
    failures: tuple[str, ...] = ()
    remarks: tuple[Note, ...] = ()

    @classmethod
    def nothing(cls, scenario: Scenario, rung: str, failure: str) -> Outcome:
        """Return the outcome of a run that could not be made: nothing was heard, and nothing is proved."""
        return cls(
            scenario=scenario,
            rung=rung,
            endpoints=(),
            packets=(),
            dropped=0,
            delivered=False,
            leaks=(),
            notes=(),
            conversations=(),
            failures=(failure,),
        )

    def hop(self, flow: Flow) -> Hop | None:
        """Return the hop that a flow belongs to; None for a flow that is not the lesson's."""
        leg = self._leg(flow)
        return None if leg is None else self.scenario.legs[leg].hop

    def talks(self, leg: int) -> tuple[Conversation, ...]:
        """Return the conversations of one of the row's legs, by its number from 0."""
        return tuple(talk for talk in self.conversations if self._leg(talk.flow) == leg)

    def _leg(self, flow: Flow) -> int | None:
        """Return the number of the leg that a flow belongs to.

        Where several legs lead to one server, each takes one flow in its turn, and the last the rest.
        """
        legs = [leg for leg, server in enumerate(self.endpoints) if server == flow.server]
        if not legs:
            return None
        flows = sorted({talk.flow.number for talk in self.conversations if talk.flow.server == flow.server})
        turn = flows.index(flow.number) if flow.number in flows else len(flows)
        return legs[min(turn, len(legs) - 1)]

    @property
    def servers(self) -> Mapping[Hop, Endpoint]:
        """For each hop, in the order of the way, the server that matters: the last one turned to."""
        last = {leg.hop: server for leg, server in zip(self.scenario.legs, self.endpoints, strict=False)}
        return {hop: last[hop] for hop in self.scenario.hops if hop in last}

    @property
    def expected(self) -> Fields:
        """The fields that the scenario's row expects to leak, sorted, for each hop."""
        return {hop: tuple(sorted(fields)) for hop, fields in self.scenario.expected.items()}

    @property
    def leaked(self) -> Fields:
        """The fields that were on the wire (guessed ones are not), sorted, for each hop."""
        heard = [(self.hop(leak.evidence.flow), leak.field) for leak in self.leaks if not leak.guessed]
        return {hop: tuple(sorted({field for where, field in heard if where is hop})) for hop in self.servers}

    @property
    def guessed(self) -> Fields:
        """The fields that were not on the wire but guessed from what was, for each hop that has any."""
        found = [(self.hop(leak.evidence.flow), leak.field) for leak in self.leaks if leak.guessed]
        fields = {hop: tuple(sorted({field for at, field in found if at is hop})) for hop in self.servers}
        return {hop: names for hop, names in fields.items() if names}

    @property
    def point(self) -> str:
        """The scenario's last word; another where it speaks of guessing and no word fitted."""
        nothing = self.attempts and all(attempt.found is None for attempt in self.attempts)
        return (nothing and self.scenario.unguessed) or self.scenario.point

    @property
    def unexpected(self) -> Fields:
        """The fields that leaked and should not have, for each hop that has any."""
        return _less(self.leaked, self.expected)

    @property
    def missing(self) -> Fields:
        """The fields that should have leaked and did not, for each hop that has any."""
        return _less(self.expected, self.leaked)

    @property
    def problems(self) -> tuple[Note, ...]:
        """All that makes this run no evidence: failures of the run, and a capture that is not whole."""
        problems = [Note(text="{failure}", values=(("failure", failure),)) for failure in self.failures]
        if self.dropped:
            text = _DROPPED_ONE if self.dropped == 1 else _DROPPED
            problems.append(Note(text=text, values=(("count", self.dropped),)))
        if not self.endpoints:  # it could not be run at all: the rest follows from that
            return tuple(problems)
        if not self.delivered:
            problems.append(Note(text=_NOT_DELIVERED))
        for number, leg in enumerate(self.scenario.legs):
            talks = self.talks(number)
            if not talks:
                problems.append(Note(text=_UNSEEN, values=(("hop", leg.hop),)))
            elif not all(talk.complete for talk in talks):
                problems.append(Note(text=_HALF_SEEN, values=(("hop", leg.hop),)))
        if self.other_loot is not None:
            problems.append(Note(text=_OTHER_LOOT, values=(("hop", self.other_loot),)))
        return tuple(problems)

    @property
    def ok(self) -> bool:
        """Whether the run is sound evidence and the wire agreed with the expectation."""
        return not (self.unexpected or self.missing or self.problems)

    @property
    def other_loot(self) -> Hop | None:
        """The first hop on which an attacker did not get just what the row says."""
        none: frozenset[Field] = frozenset()
        told = self.scenario.loot
        hops = sorted({*self.loot, *told})
        return next((hop for hop in hops if self.loot.get(hop, none) != told.get(hop, none)), None)

    @property
    def stolen(self) -> Fields:
        """The fields that an active attacker got, sorted, for each hop with an attack on it."""
        return {hop: tuple(sorted(self.loot[hop])) for hop in self.servers if hop in self.loot}

    @property
    def attack_succeeded(self) -> bool | None:
        """Whether an active attacker got anything, from what he has got; None where there was no attack."""
        return any(self.loot.values()) if self.loot else None

    @property
    def opaque(self) -> bool:
        """Whether nothing was left to read on any hop but the servers' names, and TLS is what hid it."""
        return any(self.leaked.values()) and all(
            set(fields) <= {Field.SERVER_NAME} for fields in self.leaked.values()
        )


def _less(some: Fields, others: Fields) -> Fields:
    """Return what `some` has and `others` lacks, for each hop that has any."""
    rest = {hop: tuple(f for f in fields if f not in others.get(hop, ())) for hop, fields in some.items()}
    return {hop: fields for hop, fields in rest.items() if fields}
