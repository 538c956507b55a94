"""The toy mail servers: the thing listened to. They bind loopback only and know nothing of the listener.

Importing this is cheap; `ToyServers` (with asyncio and aiosmtpd behind it) is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtap.servers.accounts import Account, Accounts
from mailtap.servers.confidant import Confidant
from mailtap.servers.forwarding import NotForwarded
from mailtap.servers.ledger import SessionCount
from mailtap.servers.limits import Limits
from mailtap.servers.listener import AddressRefused, Holder, PortForbidden, PortTaken, ServersError
from mailtap.servers.mailbox import Mailbox, Mailboxes, MailboxFull, Message
from mailtap.servers.service import (
    LAB_DOMAIN,
    LAB_HOST,
    SASL_MECHANISMS,
    WEBMAIL,
    Security,
    ServerProtocol,
    Service,
)
from mailtap.servers.tls import LAB_NAMES, LabCertificates

if TYPE_CHECKING:
    from mailtap.servers.runner import ToyServers

__all__ = [
    "LAB_DOMAIN",
    "LAB_HOST",
    "LAB_NAMES",
    "SASL_MECHANISMS",
    "WEBMAIL",
    "Account",
    "Accounts",
    "AddressRefused",
    "Confidant",
    "Holder",
    "LabCertificates",
    "Limits",
    "Mailbox",
    "MailboxFull",
    "Mailboxes",
    "Message",
    "NotForwarded",
    "PortForbidden",
    "PortTaken",
    "Security",
    "ServerProtocol",
    "ServersError",
    "Service",
    "SessionCount",
    "ToyServers",
]


def __getattr__(name: str) -> object:
    if name != "ToyServers":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mailtap.servers.runner import ToyServers  # noqa: PLC0415  # see above

    return ToyServers
