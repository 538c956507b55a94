"""Makes taps for the tests of a session: what is the same for all of them is made once."""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mailtap.demo.network.rungs import Rung, probe
from mailtap.demo.testing.attacks import named
from mailtap.demo.testing.baseline import FOLDER
from mailtap.demo.testing.errors import BadMark, TapUnavailable
from mailtap.demo.testing.letters import new_account
from mailtap.demo.testing.offers import services
from mailtap.demo.testing.tap import MailTap
from mailtap.demo.testing.wire import Mode, Wire
from mailtap.servers import Account, LabCertificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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

    Nothing asks such a tap at the end whether a client ever connected: ask `tap.conclude()`.

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
    _renewed: dict[Path, frozenset[str]] = field(default_factory=dict, init=False)

    @contextmanager
    def __call__(
        self,
        *,
        account: MailAccount | None = None,
        letters: Iterable[bytes] = (),
        marks: Iterable[Mark] = (),
        attack: str | None = None,
        baselines: Path | None = None,
    ) -> Iterator[MailTap]:
        """Run servers with a tap before them for as long as the block lasts.

        Args:
            account: who can log in; somebody new where none is given.
            letters: what is in the mailbox, as bytes.
            marks: what `mail_server` markers say, the closest first.
            attack: the name of what is done to the client.
            baselines: the folder for snapshots; `mail_tap_baselines` in the current one where none is given.

        Raises:
            BadMark: a marker or the host means nothing here.
            TapDeaf: the canary was not heard.
            TapUnavailable: this machine does not let the tap listen.
        """
        account = account or new_account()
        done = None if attack is None else named(attack)
        known = Account(
            username=account.username, password=str(account.password), addresses=(account.address,)
        )
        impostor = done is not None and done.impostor
        wire = Wire(
            services(marks, self.security, done),
            mode=self.mode,
            host=_loopback(self.host),
            account=known,
            certificates=LabCertificates() if impostor else self.certificates,
            impostor=impostor,
        )
        with wire:
            for letter in letters:
                if not isinstance(letter, bytes):
                    raise BadMark(f"mail_letters are messages in bytes, not {type(letter).__name__}.")
                wire.mailbox.add(letter)
            yield MailTap(
                wire,
                host=self.host,
                account=account,
                ca_file=self.ca_file,
                baselines=baselines or Path(FOLDER),
                renewed=self._renewed if self.update else None,
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
