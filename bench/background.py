"""Writes what is on the wire beside mail: web pages, TLS, DNS, shells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random

    from bench.wire import Turn


class Noise(NamedTuple):
    """One conversation that is no mail."""

    port: int
    turns: list[Turn]
    datagrams: bool = False


def write(random: Random) -> Noise:
    """Return a conversation of a kind that networks are full of."""
    kind = random.choices(tuple(_KINDS), tuple(_KINDS.values()))[0]
    return kind(random)


def _web(random: Random) -> Noise:
    turns: list[Turn] = []
    for _ in range(random.randrange(1, 6)):
        page = random.randbytes(random.randrange(500, 60_000))
        turns.append(("C", b"GET /%x HTTP/1.1\r\nHost: www.example.org\r\n\r\n" % random.getrandbits(40)))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(page)
        turns.append(("S", head + page))
    return Noise(random.choice((80, 8080)), turns)


def _tls(random: Random) -> Noise:
    def record(kind: int, size: int) -> bytes:
        return bytes((kind, 3, 3)) + size.to_bytes(2, "big") + random.randbytes(size)

    hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + random.randbytes(193)
    turns: list[Turn] = [("C", hello), ("S", record(22, 90) + record(23, 2_800)), ("C", record(23, 60))]
    for _ in range(random.randrange(1, 8)):
        turns.append(("C", record(23, random.randrange(50, 900))))
        turns.append(("S", b"".join(record(23, 16_000) for _ in range(random.randrange(1, 5)))))
    return Noise(443, turns)


def _dns(random: Random) -> Noise:
    number = random.randbytes(2)
    name = b"\x03www\x07example\x03org\x00\x00\x01\x00\x01"
    ask = number + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name
    answer = number + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + name
    answer += b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04" + random.randbytes(4)
    return Noise(53, [("C", ask), ("S", answer)], datagrams=True)


def _shell(random: Random) -> Noise:
    turns: list[Turn] = [("S", b"SSH-2.0-OpenSSH_9.2\r\n"), ("C", b"SSH-2.0-OpenSSH_9.2\r\n")]
    for _ in range(random.randrange(20, 200)):
        turns.append(("C", random.randbytes(36)))
        turns.append(("S", random.randbytes(random.choice((36, 36, 52, 200)))))
    return Noise(22, turns)


_KINDS = {_web: 40, _tls: 30, _dns: 20, _shell: 10}
