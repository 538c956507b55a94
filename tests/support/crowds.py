"""Packets of many sessions at once, reproducible by a seed."""

from __future__ import annotations

import random

import wire

from bench import background, sessions
from bench import wire as road
from mailtap.capture.model import Packet


def crowd(seed: int, *, disturbed: bool = True) -> list[Packet]:
    """Return many sessions and other connections at once; some lose packets, repeat them or mix them up."""
    chance = random.Random(seed)
    frames: list[list[bytes]] = []
    for number in range(12):
        ends = road.Ends("10.0.0.9", 20_000 + number, "192.0.2.25", 0)
        if number % 4 == 0:
            noise = background.write(chance)
            turns, port = noise.turns, noise.port
        else:
            session = sessions.write(number, chance)
            turns, port = session.turns, session.port
        segments = road.segments(turns, chance, chance.choice((40, 300, 1460)))
        if disturbed and number % 3:
            segments = road.disturbed(segments, chance)
        if disturbed and number % 5 == 2:
            del segments[chance.randrange(len(segments))]
        frames.append(list(road.frames(segments, ends._replace(server_port=port))))
    packets: list[Packet] = []
    while frames:
        flow = chance.choice(frames)
        data = flow.pop(0)
        packets.append(Packet(0, 0, wire.ETHERNET, data, len(data)))
        if not flow:
            frames.remove(flow)
    return wire.renumber(packets)
