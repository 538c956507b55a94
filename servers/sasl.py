"""The server's side of SASL mechanisms (RFC 4422), without any I/O.

A mechanism is a generator: it yields challenges, is sent responses, and returns the account that logged
in, or None. A `Dialogue` puts the base64 coat around it that POP3 (RFC 5034) and others wear.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from mailtap.servers.accounts import Account, Accounts

Exchange: TypeAlias = Generator[bytes, bytes, Account | None]


def plain(accounts: Accounts, _challenge: bytes) -> Exchange:
    """PLAIN (RFC 4616): one response, `authzid NUL authcid NUL password`."""
    response = yield b""
    parts = response.split(b"\0")
    if len(parts) != 3:  # noqa: PLR2004  # as the format above has it
        return None
    authzid, username, password = parts
    if authzid not in {b"", username}:  # nobody here may act for somebody else
        return None
    return accounts.check_password(username, password)


def login(accounts: Accounts, _challenge: bytes) -> Exchange:
    """LOGIN (never an RFC; draft-murchison-sasl-login): name and password, each asked for."""
    username = yield b"Username:"
    password = yield b"Password:"
    return accounts.check_password(username, password)


def cram_md5(accounts: Accounts, challenge: bytes) -> Exchange:
    """CRAM-MD5 (RFC 2195, section 2): the answer to a challenge is a name, a space and a keyed digest."""
    response = yield challenge
    username, _, digest = response.rpartition(b" ")
    return accounts.check_cram_md5(username, challenge, digest)


class Mechanism(NamedTuple):
    """A mechanism: how to begin it, and whether the client may speak first (RFC 4422, section 3)."""

    begin: Callable[[Accounts, bytes], Exchange]
    client_first: bool


MECHANISMS: Final = {
    "CRAM-MD5": Mechanism(cram_md5, client_first=False),
    "LOGIN": Mechanism(login, client_first=True),
    "PLAIN": Mechanism(plain, client_first=True),
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this, already in base64, and pass on what the client answers."""

    encoded: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """The exchange is over: who logged in, or None where the proof was wrong."""

    account: Account | None


@dataclass(frozen=True, slots=True)
class Broken:
    """The exchange is over without a verdict, because the client did not keep to the form."""

    why: str


Step: TypeAlias = Challenge | Verdict | Broken


class Dialogue:
    """One exchange over a protocol of lines, base64 on each (RFC 4422, section 4; RFC 5034, section 4).

    Args:
        mechanism: a key of `MECHANISMS`.
        accounts: who may log in.
        challenge: something never said before, for mechanisms that need it.
    """

    def __init__(self, mechanism: str, accounts: Accounts, challenge: bytes) -> None:
        self._mechanism = MECHANISMS[mechanism]
        self._exchange = self._mechanism.begin(accounts, challenge)

    def begin(self, initial: bytes) -> Step:
        """Take the initial response (`=` is an empty one), or nothing where the client sent none."""
        challenge = next(self._exchange)
        if not initial:
            return Challenge(b64encode(challenge))
        if not self._mechanism.client_first:
            return Broken("This mechanism takes no initial response")
        return self.respond(b"" if initial == b"=" else initial)

    def respond(self, line: bytes) -> Step:
        """Take the client's answer to a challenge; `*` cancels."""
        if line == b"*":
            return Broken("Cancelled")
        try:
            response = b64decode(line, validate=True)
        except binascii.Error:
            return Broken("That is not base64")
        try:
            return Challenge(b64encode(self._exchange.send(response)))
        except StopIteration as verdict:
            return Verdict(verdict.value)
