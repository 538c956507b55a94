"""The server's side of SASL mechanisms (RFC 4422), without any I/O.

An exchange is a generator: it yields challenges, is sent responses, and returns the account that logged
in, or None. A base64 coat, cancelling and verdict lines belong to the protocol around it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
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
