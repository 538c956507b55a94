"""Makes taps for the tests of a session: what is the same for all of them is made once."""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailtap.demo.network.rungs import Rung, probe
from mailtap.demo.testing.errors import BadMark, TapUnavailable
from mailtap.demo.testing.offers import services
from mailtap.demo.testing.tap import MailTap
from mailtap.demo.testing.wire import Mode, Wire
from mailtap.servers import Account, LabCertificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mailtap.demo.testing.attacks import Attack
    from mailtap.demo.testing.letters import MailAccount
    from mailtap.demo.testing.offers import Mark


def choose_mode(wanted: str) -> Mode:
    """Return how to hear the wire: as asked for, or, where it is `auto`, by packets if that works here.

    Raises:
        TapUnavailable: packets were asked for, and this machine does not allow it.
    """
    if wanted == Mode.RELAY:
        return Mode.RELAY
    tried = probe(Rung.HOST_LOOPBACK)
    if wanted == Mode.PACKETS and not tried.works:
        raise TapUnavailable(f"{tried.reason} {tried.mend} Or use --mail-tap=relay.".replace("  ", " "))
    return Mode.PACKETS if tried.works else Mode.RELAY


@dataclass(frozen=True, slots=True, kw_only=True)
class TapFactory:
    """Makes taps: `with factory(account=account) as tap:`.

    Attributes:
        mode: how the wire is heard.
        host: the loopback address that clients are told: `localhost`, or an IPv4 address.
        certificates: what the servers show; anything with a `server_context()`.
        ca_file: the authority that a client has to trust.
        security: how ports are protected where no marker says so.
        update: whether snapshots are kept anew.
    """

    mode: Mode
    host: str
    certificates: LabCertificates
    ca_file: Path
    security: str = "starttls"
    update: bool = False

    @contextmanager
    def __call__(
        self,
        *,
        account: MailAccount,
        letters: Iterable[bytes] = (),
        marks: Iterable[Mark] = (),
        attack: Attack | None = None,
        baselines: Path,
    ) -> Iterator[MailTap]:
        """Run servers with a tap before them for as long as the block lasts.

        Args:
            account: who can log in.
            letters: what is in the mailbox.
            marks: what `mail_server` markers say, the closest first.
            attack: what is done to the client.
            baselines: the folder for snapshots.

        Raises:
            BadMark: a marker or the host means nothing here.
            TapDeaf: the canary was not heard.
            TapUnavailable: this machine does not let the tap listen.
        """
        known = Account(
            username=account.username, password=str(account.password), addresses=(account.address,)
        )
        impostor = attack is not None and attack.impostor
        wire = Wire(
            services(marks, self.security, attack),
            mode=self.mode,
            host=_loopback(self.host),
            account=known,
            certificates=LabCertificates() if impostor else self.certificates,
            impostor=impostor,
        )
        with wire:
            for letter in letters:
                wire.mailbox.add(letter)
            yield MailTap(
                wire,
                host=self.host,
                account=account,
                ca_file=self.ca_file,
                baselines=baselines,
                update=self.update,
            )


def _loopback(host: str) -> str:
    """Return the IPv4 loopback address behind a host.

    Raises:
        BadMark: it is none.
    """
    try:
        address = ipaddress.IPv4Address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise BadMark(
            f"mail_address is 'localhost' or an IPv4 loopback address such as 127.0.0.1, not {host!r}."
        )
    return str(address)
