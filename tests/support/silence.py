"""Searches the raw bytes of a hop for what the row says is not there: in clear, base64, and other spellings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from spellings import spellings

from mailtap.capture.decode import Decoder
from mailtap.capture.model import Field, Segment
from mailtap.capture.wire.ends import endpoints_of
from mailtap.demo import cast
from mailtap.demo.scenarios import Hop

if TYPE_CHECKING:
    from mailtap.capture.model import Endpoint
    from mailtap.demo.outcome import Outcome

PASSWORDS = {Hop.SUBMIT: cast.HANAKO.password, Hop.FETCH: cast.TARO.password}
# What must be nowhere in the bytes of a hop that is not expected to leak it. The login names are part of
# the addresses, and are looked for as a login shows them.
SECRETS = {
    Field.SUBJECT: ("社外秘】来期の給与", "confidential)"),
    Field.BODY: ("花子です。来期の給与案をお送りします。", "here is the draft of next term's salaries."),
    Field.ATTACHMENT: ("山田花子,320000,335000", cast.ATTACHMENT_NAME),
    Field.USERNAME: ("USER taro",),
    Field.SENDER: (cast.HANAKO.address,),
    Field.RECIPIENT: (cast.TARO.address,),
}


def assert_silences_are_real(outcome: Outcome, twin: Outcome) -> None:
    """Assert that a row's secrets are nowhere in the bytes of a hop that is not expected to leak them.

    Args:
        outcome: the row.
        twin: the row in which all is in clear: there the same search must find them.
    """
    assert outcome.ok, "only a session that completed can prove a silence"
    for hop in outcome.servers:
        where = hop if hop in twin.servers else Hop.SUBMIT
        for field, secrets in SECRETS.items() | {(Field.PASSWORD, tuple(PASSWORDS.values()))}:
            if field in outcome.scenario.expected[hop] or (field, where) == (Field.USERNAME, Hop.SUBMIT):
                continue
            for secret in secrets:
                whole = b"".join(bytes_of(twin, each) for each in twin.servers)
                assert found(secret, whole), "the search would not find it even where it is in clear"
                assert found(secret, bytes_of(outcome, hop)) == []


def found(secret: str, octets: bytes) -> list[str]:
    """Return in which spellings a secret is found in bytes."""
    return [spelling for spelling, spelt in spelled(secret).items() if spelt in octets]


@cache
def spelled(secret: str) -> dict[str, bytes]:
    return spellings(secret)


def bytes_of(outcome: Outcome, hop: Hop) -> bytes:
    """Return a hop's frames as they were captured, and each stream joined, as a text may span frames."""
    flows = [talk.flow for talk in outcome.conversations if outcome.hop(talk.flow) is hop]
    ends = {frozenset((flow.client, flow.server)) for flow in flows}
    frames: list[bytes] = []
    streams: dict[Endpoint, bytes] = {}
    for segment in Decoder().segments(outcome.packets):
        if isinstance(segment, Segment) and frozenset(endpoints_of(segment.ends)) in ends:
            frames.append(outcome.packets[segment.packet - 1].data)
            source, _ = endpoints_of(segment.ends)
            streams[source] = streams.get(source, b"") + segment.payload
    assert frames
    return b"\n".join([*frames, *streams.values()])
