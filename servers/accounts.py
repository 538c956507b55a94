"""Who may log in to the toy servers, and how a login is checked."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One mail user of the lab.

    Attributes:
        username: the login name.
        password: kept as plain text, because APOP and CRAM-MD5 cannot be checked from anything less.
        addresses: the mail addresses whose messages go to this user.
    """

    username: str
    password: str = field(repr=False)
    addresses: tuple[str, ...] = ()


class Accounts:
    """The lab's users, looked up by login name or by mail address.

    Checks take the same time for an unknown name as for a wrong password, and compare in constant time.
    Names and passwords arrive as bytes off the wire and may be no UTF-8 at all; then they match nobody.

    Raises:
        ValueError: two accounts share a login name or an address.
    """

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_username: dict[bytes, Account] = {}
        self._by_address: dict[str, Account] = {}
        for account in accounts:
            if account.username.encode() in self._by_username:
                raise ValueError(f"Two accounts are named {account.username}: give each a name of its own.")
            self._by_username[account.username.encode()] = account
            for address in account.addresses:
                if address.casefold() in self._by_address:
                    raise ValueError(f"Two accounts share the address {address}: give it to one of them.")
                self._by_address[address.casefold()] = account

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_username.values())

    def at_address(self, address: str) -> Account | None:
        """Return whose address this is, letter case aside, or None."""
        return self._by_address.get(address.casefold())

    def check_password(self, username: bytes, password: bytes) -> Account | None:
        """Return the account if the password is right (USER/PASS, PLAIN, LOGIN)."""
        return self._compare(username, password, lambda known: known)

    def check_apop(self, username: bytes, timestamp: bytes, digest: bytes) -> Account | None:
        """Return the account if the hex digest answers the greeting's timestamp (RFC 1939, section 7)."""
        return self._compare(
            username,
            digest,
            lambda known: hashlib.md5(timestamp + known, usedforsecurity=False).hexdigest().encode(),
        )

    def check_cram_md5(self, username: bytes, challenge: bytes, digest: bytes) -> Account | None:
        """Return the account if the hex digest answers the challenge (RFC 2195, section 2)."""
        return self._compare(
            username, digest, lambda known: hmac.new(known, challenge, "md5").hexdigest().encode()
        )

    def _compare(self, username: bytes, given: bytes, expected: Callable[[bytes], bytes]) -> Account | None:
        account = self._by_username.get(username)
        password = "" if account is None else account.password
        right = hmac.compare_digest(expected(password.encode()), given)
        return account if right else None
