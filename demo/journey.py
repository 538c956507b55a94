"""Takes the mail on its way: each leg of a row in its turn, with the mail program that the leg needs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mailtap.capture.language import N_
from mailtap.demo import cast
from mailtap.demo.client import FETCHING, LOOKING_IN, SENDING, ClientFailed, Letter, Settings
from mailtap.demo.scenarios import Hop
from mailtap.demo.scenarios.row import MAIL, Credential
from mailtap.demo.screen import Screen
from mailtap.servers import NotForwarded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailtap.capture.model import Field
    from mailtap.demo.scenarios import Leg, Scenario
    from mailtap.servers import LabCertificates

_WENT_THROUGH: Final = N_("a connection that was to be refused was not")
_PEOPLE: Final = {Hop.SUBMIT: cast.HANAKO, Hop.FETCH: cast.TARO}


@dataclass(slots=True, kw_only=True)
class Journey:
    """A mail on its way.

    Attributes:
        scenario: the row.
        certificates: holds the authority that the mail programs trust.
        forger: issues what only looks like a certificate of that authority.
        addresses: where the program of each leg connects, (host, port); known once the tap is open.
        failures: what went wrong so far, in plain English.
        screens: what the mail program of each leg showed to its user.
        stolen: for each hop, the fields that a thief got by a mail program of his own.
    """

    scenario: Scenario
    certificates: LabCertificates | None
    forger: LabCertificates | None = None
    addresses: Mapping[Leg, tuple[str, int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    screens: dict[Leg, Screen] = field(default_factory=dict)
    stolen: dict[Hop, frozenset[Field]] = field(default_factory=dict)

    def travel(self, mail: bytes) -> bool:
        """Go through the legs, and return whether the mail that was fetched is the mail that was sent.

        Where the row delivers nothing, that nothing was fetched is as good.
        """
        fetched = None
        for leg in self.scenario.legs:
            if leg.hop is Hop.RELAY:
                continue  # the server's own business, while it has the mail
            try:
                fetched = self._go(leg, mail)
            except ClientFailed as error:
                self._show(leg, failure=error.reason)
                if not leg.refused:
                    self.failures.append(str(error))
                    return False
                continue
            if leg.refused:
                self.failures.append(_WENT_THROUGH)
            if leg.thief:
                self.stolen[leg.hop] = MAIL if fetched and fetched.endswith(mail) else frozenset()
        if fetched is None:
            return not self.scenario.delivers
        # The server may put trace headers (RFC 5321, section 4.4) above the mail, and nothing below.
        return fetched.endswith(mail)

    def forward(self, sender: str, recipients: Sequence[str], mail: bytes) -> None:
        """Pass a mail on from server to server, as the row's relay leg says.

        Raises:
            NotForwarded: the next server did not take it.
        """
        leg = next(leg for leg in self.scenario.legs if leg.hop is Hop.RELAY)
        letter = Letter(sender=sender, recipients=tuple(recipients), content=mail)
        try:
            SENDING[leg.service.protocol](self._settings(leg), letter)
        except ClientFailed as error:
            if not leg.refused:
                self.failures.append(str(error))
            raise NotForwarded(str(error)) from error

    def _go(self, leg: Leg, mail: bytes) -> bytes | None:
        """Let a mail program do what a leg says; return the mail that it fetched, if it did."""
        settings, protocol = self._settings(leg), leg.service.protocol
        if leg.login_only:
            LOOKING_IN[protocol](settings)
        elif leg.hop is Hop.FETCH:
            return FETCHING[protocol](settings)
        else:
            blind = (cast.JIRO.address,) if self.scenario.bcc else ()
            recipients = (cast.TARO.address, *blind)
            SENDING[protocol](
                settings, Letter(sender=cast.HANAKO.address, recipients=recipients, content=mail)
            )
        return None

    def _settings(self, leg: Leg) -> Settings:
        person = _PEOPLE.get(leg.hop)
        return Settings(
            service=leg.service,
            address=self.addresses[leg],
            machine=person.machine if person else self.scenario.services[Hop.SUBMIT].host,
            username=person.username if person else "",
            password=person.password if person else "",
            trust=self._trust(leg),
            insist=leg.insist,
            show=lambda padlock: self._show(leg, padlock=padlock),
        )

    def _show(self, leg: Leg, **change: Any) -> None:  # noqa: ANN401  # a screen's own fields
        self.screens[leg] = replace(self.screens.get(leg, Screen()), **change)

    def _trust(self, leg: Leg) -> ssl.SSLContext | None:
        if self.certificates is None:
            return None
        context = self.certificates.client_context()
        if not leg.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        issuers = {Credential.OWN: self.certificates, Credential.FOREIGN: self.forger}
        issuer, person = issuers.get(leg.credential), _PEOPLE.get(leg.hop)
        if issuer is not None and person is not None:
            issuer.certify(context, person.name, person.machine)
        if leg.version is not None:
            context.maximum_version = leg.version
        return context
