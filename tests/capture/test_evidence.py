"""Every leak of every golden dialogue and of every feature is found again in the raw capture, at its evidence.

The capture is read here by a few lines of their own, which share nothing with the listener: frames cut at
fixed places, sequence numbers taken from the first SYN. So no mistake can hide in both.
"""

from __future__ import annotations

import base64
import binascii
import html
import quopri
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import dialogue
import pytest
import wire
from features import FEATURES

from mailtap.capture.model import Direction, Endpoint, Field, Leak
from mailtap.capture.pipeline import listen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from feature import Feature

    from mailtap.capture.model import Packet

SCRIPTS = {
    path.stem: dialogue.load(path) for path in sorted((Path(__file__).parent / "dialogues").glob("*.txt"))
}
UP_TO_PADDING = re.compile(rb"[^=]*={0,2}")  # before Python 3.13.9, what follows was left out of itself
CHARSETS = (
    "utf-8",
    "iso2022_jp",
    "iso2022_jp_2",
    "cp932",
    "euc_jp",
    "gb18030",
    "koi8_r",
    "cp1252",
    "latin-1",
)


def payloads(packets: Sequence[Packet]) -> Iterator[tuple[int, Direction, int, bytes]]:
    """Yield packet number, direction, place in the stream and bytes: Ethernet, IPv4 and TCP without options."""
    starts: dict[bytes, int] = {}
    client = b""
    for packet in packets:
        port, sequence, flags = packet.data[34:36], *struct.unpack(">I5xB", packet.data[38:48])
        if flags & wire.SYN:
            starts[port] = sequence + 1
            client = client or port
        direction = Direction.CLIENT if port == client else Direction.SERVER
        yield packet.number, direction, sequence - starts.get(port, sequence), packet.data[54:]


def cut(packets: Sequence[Packet], leak: Leak) -> bytes:
    """Return the bytes at a leak's evidence, taken from the packets that it names and from no others."""
    named = [each for each in payloads(packets) if each[0] in leak.evidence.packets]
    out, used = b"", set()
    for span in leak.evidence.spans:
        for at in range(span.start, span.end):
            number, _, start, data = next(
                each for each in named if each[1] is span.direction and each[2] <= at < each[2] + len(each[3])
            )
            used.add(number)
            out += data[at - start : at - start + 1]
    assert used == set(leak.evidence.packets), "a packet is named that carries nothing of the value"
    return out


def readings(raw: bytes) -> Iterator[bytes]:
    """Yield what bytes may mean: as they are, unstuffed, unquoted, an ENVELOPE's address, out of base64 and quoted-printable."""
    unstuffed = raw.replace(b"\r\n.", b"\r\n")
    for text in (
        raw,
        unstuffed,
        raw.replace(b'\\"', b'"').replace(b"\\\\", b"\\"),
        raw.replace(b"=2C", b","),
        raw.replace(b'" "', b"@"),
        html.unescape(raw.decode("utf-8", "backslashreplace")).encode(),
        unquote_to_bytes(raw.replace(b"+", b" ")),
    ):
        yield text
        yield quopri.decodestring(text)
        yield quopri.decodestring(text, header=True)
        for piece in (text, *text.split(), *text.replace(b"?=", b" ").replace(b"?", b" ").split()):
            for start in range(0, len(piece), 4):  # texts may stand side by side, each with its own padding
                try:
                    yield base64.b64decode(UP_TO_PADDING.findall(piece[start:])[0])
                except binascii.Error:
                    break


def texts(raw: bytes) -> Iterator[str]:
    for reading in readings(raw):
        yield reading.decode("utf-8", "backslashreplace")
        for charset in CHARSETS:
            yield reading.decode(charset, "replace")
        yield reading.decode("utf-16-le", "replace")
        yield reading[1:].decode("utf-16-le", "replace")


def stands_in(leak: Leak, raw: bytes) -> bool:
    """Return whether the value stands in these bytes, in some form in which it could have been sent."""
    if leak.attachment is not None:
        content = leak.attachment.content
        return any(content in each or content.replace(b"\n", b"\r\n") in each for each in readings(raw))
    words = (
        leak.value.reveal().split() if leak.field in (Field.BODY, Field.SUBJECT) else [leak.value.reveal()]
    )
    found = [*texts(raw), base64.b64encode(raw).decode(), raw.decode("latin-1")]
    return all(any(word in each for each in found) for word in words)


@pytest.mark.parametrize("mss", [1460, 11], ids=["whole", "in pieces"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_raw_capture_holds_every_leak_at_its_evidence(name: str, mss: int) -> None:
    script = SCRIPTS[name]
    turns = [("C" if who is Direction.CLIENT else "S", data) for who, data in script.turns]
    packets = wire.conversation(turns, server=Endpoint("192.0.2.1", script.port), mss=mss)
    leaks = [item for item in listen(packets) if isinstance(item, Leak)]
    assert len(leaks) == len(script.leaks)
    for leak in leaks:
        assert stands_in(leak, cut(packets, leak)), (leak.field, leak.value.reveal(), cut(packets, leak))
        assert leak.evidence.time_ns == packets[leak.evidence.packets[-1] - 1].time_ns


@pytest.mark.parametrize("feature", [pytest.param(each, id=str(each)) for each in FEATURES if each.plain])
def test_the_raw_capture_holds_what_each_feature_leaks(feature: Feature) -> None:
    packets = feature.packets()
    leaks = [item for item in listen(packets) if isinstance(item, Leak)]
    assert len(leaks) == len(feature.leaks)
    for leak in leaks:
        assert stands_in(leak, cut(packets, leak)), (leak.field, leak.value.reveal(), cut(packets, leak))
