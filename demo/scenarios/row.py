"""What a row of the table is made of: hops, legs, groups, and the row itself.

Nothing in a row is looked at before the capture is over, except which legs to travel: what leaked is
what the listener heard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from ssl import TLSVersion  # noqa: TC003
from typing import Protocol, TypeAlias

from mailtap.capture.language import N_
from mailtap.capture.model import Field, Leak
from mailtap.servers import Service  # noqa: TC001  # Man is an alias that holds it


class Hop(StrEnum):
    """A stretch of the mail's way: to the sender's server, between servers, to the recipient."""

    SUBMIT = "submit"
    RELAY = "relay"
    FETCH = "fetch"


class Group(StrEnum):
    """What the rows of a group have in common, in the order in which they are told."""

    NOTHING = N_("nothing done")
    LOGIN = N_("login only")
    ONE_LEG = N_("one leg encrypted")
    EVERY_LEG = N_("every leg encrypted")
    OTHER_SIDE = N_("who is the other side")
    PADLOCK = N_("the padlock pulled off")
    METADATA = N_("metadata")


class Risk(StrEnum):
    """The risks of the article on mail eavesdropping that the wire can say something about."""

    SENT = N_("eavesdropping on sent mail")
    RECEIVED = N_("eavesdropping on received mail")
    BOTH = N_("eavesdropping on sent and received mail")
    RELAY_ABUSE = N_("abuse of a server as a relay")
    MISSENT = N_("a mail that reaches the wrong people")


class Intruder(Protocol):
    """Somebody who stands in the path of a leg.

    Attributes:
        endpoint: where the mail program is led, (host, port), in place of the server.
    """

    endpoint: tuple[str, int]

    def wait_idle(self, timeout: float) -> bool:
        """Wait until his sessions have ended; return whether that came true within so many seconds."""

    def loot(self) -> tuple[Leak, ...]:
        """Return what he got by himself, from his own side."""


class Credential(StrEnum):
    """The client certificate that a mail program has."""

    NONE = "none"
    OWN = "own"  # of the lab's authority, for the person whose account it is
    FOREIGN = "foreign"  # with the person's name on it, of an authority that the server does not trust


# Lets an intruder stand before the server of a leg. He works between the lab's own two ends only: the
# endpoint of the server is all that he is ever told. Where he speaks TLS to the mail program, he writes its
# keys to the file that he is given: they are those of the wire that is heard.
Man: TypeAlias = Callable[["Leg", tuple[str, int], Path], AbstractContextManager[Intruder]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One thing that a mail program does on the way.

    Attributes:
        hop: the stretch of the way.
        service: what it connects to. Services of different hosts are offered by different servers.
        tells: who does what, in a few words; empty for what is usual on the hop.
        login_only: whether the program logs in and leaves, and sends or fetches nothing.
        refused: whether one of the two sides is to break this off; then nothing may arrive.
        verify: whether the program checks the certificate.
        insist: whether it breaks off where STARTTLS is not offered; if not, it shrugs and goes on in clear.
        man: who stands in the path.
        credential: the client certificate that the program has.
        version: the newest TLS that the program speaks; None is the newest that there is.
        thief: whether this is somebody else, with the password of the person who does such things.
    """

    hop: Hop
    service: Service
    tells: str = ""
    login_only: bool = False
    refused: bool = False
    verify: bool = True
    insist: bool = True
    man: Man | None = None
    credential: Credential = Credential.NONE
    version: TLSVersion | None = None
    thief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the table.

    Attributes:
        name: as typed after `mailtap demo`.
        group: what it has in common with its neighbours.
        title: what is done about eavesdropping, in a few words.
        risk: the article's risk.
        countermeasure: the article's countermeasure.
        legs: what happens, in this order; a relay leg while the mail before it is being handed over.
        expected: for each hop, the fields that cross the wire in a form that can be read.
        loot: for each hop with an attack on it, the fields that the attacker is expected to get.
        bcc: whether the mail goes to a blind copy's recipient, too.
        why: one sentence on what was seen.
        protects: what it protects.
        exposes: what it does not.
        advice: what to do instead, as the article recommends.
        standards: the RFCs at work.
        point: the last word: what the room should remember.
        unguessed: the last word where digests were heard and no word fitted; empty where `point` still holds.
        next: the scenarios to run after it.
    """

    name: str
    group: Group
    title: str
    risk: Risk
    countermeasure: str
    legs: tuple[Leg, ...]
    expected: Mapping[Hop, frozenset[Field]]
    loot: Mapping[Hop, frozenset[Field]] = field(default_factory=dict)
    bcc: bool = False
    why: str
    protects: str
    exposes: str
    advice: str
    standards: tuple[str, ...]
    point: str
    unguessed: str = ""
    next: tuple[str, ...] = ()

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The stretches of the way that this row has, in the order of the way."""
        return tuple(hop for hop in Hop if any(leg.hop is hop for leg in self.legs))

    @property
    def services(self) -> Mapping[Hop, Service]:
        """For each hop, the service that matters: the last that the mail program turns to."""
        return {leg.hop: leg.service for leg in self.legs}

    @property
    def attacked(self) -> tuple[Hop, ...]:
        """The hops with an active attack: somebody in the path, or with a stolen password."""
        hops = {leg.hop for leg in self.legs if leg.man is not None or leg.thief}
        return tuple(hop for hop in Hop if hop in hops)

    @property
    def delivers(self) -> bool:
        """Whether the mail is to arrive at the recipient's PC."""
        return any(leg.hop is Hop.FETCH and not leg.refused and not leg.login_only for leg in self.legs)


MAIL = frozenset({Field.SENDER, Field.RECIPIENT, Field.SUBJECT, Field.BODY, Field.ATTACHMENT})
CLEAR_LOGIN = frozenset({Field.USERNAME, Field.PASSWORD})
DIGEST_LOGIN = frozenset({Field.USERNAME, Field.DIGEST})
ONLY_THE_NAME = frozenset({Field.SERVER_NAME})
