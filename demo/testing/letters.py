"""The account of a test, and the letter in its mailbox: new words each time, found nowhere by chance."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from mailtap.servers import LAB_DOMAIN

USERNAME: Final = "taro"


class Password(str):
    """A password that prints as stars in tracebacks and failed assertions, and is a `str` in all else."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return stars."""
        return "'********'"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAccount:
    """A mail account on the tap's servers.

    Attributes:
        username: the login name.
        password: the password.
        address: the mail address whose letters it gets.
    """

    username: str
    password: str = field(repr=False)
    address: str


def new_account() -> MailAccount:
    """Return an account with a password that was never used before."""
    return MailAccount(
        username=USERNAME,
        password=Password(f"pw-{secrets.token_urlsafe(12)}"),
        address=f"{USERNAME}@{LAB_DOMAIN}",
    )


def new_letter(account: MailAccount) -> bytes:
    """Return a letter to the account, with a subject and a body that were never used before."""
    return (
        f"From: Hanako <hanako@{LAB_DOMAIN}>\r\n"
        f"To: Taro <{account.address}>\r\n"
        f"Subject: confidential {secrets.token_hex(6)}\r\n"
        "Date: Wed, 25 Nov 2026 12:00:00 +0900\r\n"
        f"Message-ID: <{secrets.token_hex(8)}@{LAB_DOMAIN}>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "\r\n"
        f"For your eyes only: {secrets.token_hex(6)}\r\n"
    ).encode()
