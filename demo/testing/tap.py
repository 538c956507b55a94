"""What a test asks: `assert secret not in mail_tap`."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from mailtap.capture.guess import bundled_words
from mailtap.capture.model import Direction, Field, Secret
from mailtap.demo.adversary.notebook import HOP
from mailtap.demo.guessing import attempt
from mailtap.demo.testing import baseline, telling
from mailtap.demo.testing.errors import BadMark

if TYPE_CHECKING:
    from pathlib import Path

    from mailtap.capture.model import Leak, Packet
    from mailtap.demo.testing.letters import MailAccount
    from mailtap.demo.testing.wire import Wire
    from mailtap.servers import Message


class Leaks(tuple["Leak", ...]):
    """Leaks, in the order seen; prints as what was seen where, and never a secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        where = [f"{leak.field} ({leak.protocol}, packet {leak.evidence.packets[-1]})" for leak in self]
        leaks = "leak" if len(self) == 1 else "leaks"
        return f"<{len(self)} {leaks}: {', '.join(where)}>" if where else "<no leaks>"


class MailPort:
    """One server of the tap.

    Attributes:
        host: where to connect.
        port: likewise.
        security: `plain`, `starttls` or `tls`.
    """

    def __init__(self, name: str, host: str, wire: Wire) -> None:
        self.host = host
        self.port = wire.endpoints[name].port
        self.security = str(wire.services[name].security)
        self._endpoint = wire.endpoints[name]
        self._name = name
        self._wire = wire

    @property
    def sessions(self) -> int:
        """How many connections clients have made, as seen on the wire."""
        return sum(flow.server == self._endpoint for flow in self._wire.hearing(empty=True).flows)

    @property
    def client_bytes(self) -> int:
        """How many bytes clients have sent, as seen on the wire."""
        streams = self._wire.hearing(empty=True).streams
        said = [stream for stream in streams if stream.direction is Direction.CLIENT]
        return sum(len(stream.data) for stream in said if stream.flow.server == self._endpoint)

    def __repr__(self) -> str:
        return f"<{self._name} at {self.host}:{self.port}, {self.security}>"


class MailTap:
    """Toy mail servers, and all that an eavesdropper hears of a client that talks to them.

    Attributes:
        imap: the IMAP server.
        pop3: the POP3 server.
        smtp: the SMTP server.
        mode: how the wire is heard: `packets` or `relay`.
        ca_file: the certificate of the authority that a client has to trust (PEM).
    """

    def __init__(  # noqa: PLR0913  # all but the first by name
        self,
        wire: Wire,
        *,
        host: str,
        account: MailAccount,
        ca_file: Path,
        baselines: Path,
        renewed: dict[Path, frozenset[str]] | None,
    ) -> None:
        """Wrap a wire that is open.

        Args:
            wire: what is heard.
            host: the host that clients are told.
            account: whose password a guesser is assumed to have in a word list.
            ca_file: the authority's certificate.
            baselines: the folder for `snapshot`.
            renewed: where snapshots are kept anew: those kept so far.
        """
        self.imap = MailPort("imap", host, wire)
        self.pop3 = MailPort("pop3", host, wire)
        self.smtp = MailPort("smtp", host, wire)
        self._ports = (self.imap, self.pop3, self.smtp)
        self.mode = str(wire.mode)
        self.ca_file = ca_file
        self._wire = wire
        self._account = account
        self._baselines = baselines
        self._renewed = renewed
        self._asked: dict[str, None] = {}

    def __contains__(self, secret: object) -> bool:
        """Tell whether a text (or bytes) crossed the wire, in any encoding that a protocol would use.

        Raises:
            NothingHeard: the client never connected.
            TapDeaf: not all that crossed the wire was heard.
            SecretTooShort: it would be found by chance.
        """
        __tracebackhide__ = True
        return self._wire.hearing().has(self._text(secret))

    def leaks(self, *fields: str) -> Leaks:
        """Return what an eavesdropper could read, all of it or these fields.

        Args:
            fields: names such as `password`, `subject`, `body`.

        Raises:
            BadMark: there is no such field.
            NothingHeard: the client never connected.
            TapDeaf: not all that crossed the wire was heard.
        """
        __tracebackhide__ = True
        known = [str(field) for field in Field]
        if others := [field for field in fields if field not in known]:
            raise BadMark(f"There is no field {others[0]!r}; there are {', '.join(known)}.")
        heard = self._wire.hearing().leaks
        return Leaks(leak for leak in heard if not fields or leak.field in fields)

    @property
    def guessable(self) -> Leaks:
        """The passwords that digests on the wire give away to a guesser who has them in a word list.

        The guesser is assumed to have the account's own password there: whoever can try passwords
        against a digest needs nothing but time.
        """
        words = (self._account.password, *bundled_words())
        tries = [attempt(leak, chain(words)) for leak in self.leaks(Field.DIGEST)]
        return Leaks(tried.found for tried in tries if tried.found)

    @property
    def sessions(self) -> int:
        """How many connections clients have made, as seen on the wire."""
        return sum(port.sessions for port in self._ports)

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is in the account's mailbox now: what was put there, and what came by SMTP."""
        return self._wire.mailbox.messages

    @property
    def packets(self) -> tuple[Packet, ...]:
        """All that crossed the wire until now, the canary's packets too."""
        return self._wire.hearing(empty=True).packets

    def snapshot(self, name: str) -> None:
        """Compare which fields are visible with the baseline of this name.

        Raises:
            NewFieldVisible: something is visible that was not.
            NoBaseline: nothing was kept under this name.
        """
        heard = [leak for leak in self.leaks() if leak.evidence.flow.server not in HOP.values()]
        baseline.compare(name, baseline.visible(heard), self._baselines, self._renewed)

    def explain(self, secret: Any) -> list[str]:  # noqa: ANN401  # whatever the test compared with
        """Return lines that tell where a secret crossed the wire, and what the client should have done."""
        text = self._text(secret)
        hearing = self._wire.hearing()
        shown = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
        return telling.why_found(hearing.sightings(text), hearing, self._wire.services.values(), shown)

    def report(self) -> str:
        """Return what a failed test shows: what was readable and why, and the conversations."""
        hearing = self._wire.hearing(empty=True)
        lines = [f"heard by: {self.mode}; {', '.join(map(repr, self._ports))}"]
        if not hearing.flows:
            return "\n".join([*lines, "The client never connected."])
        lines += ["readable on the wire:" if hearing.leaks else "No field was readable on the wire."]
        secrets = [*self._asked, str(self._account.password)]
        lines += telling.why_leaked(hearing, self._wire.services.values(), secrets)
        lines += ["", *telling.conversations(hearing, secrets)]
        return "\n".join(lines)

    def conclude(self) -> None:
        """Fail where nobody asked anything and the client never connected: such a test shows nothing.

        Raises:
            NothingHeard: that is the case.
            TapDeaf: not all that crossed the wire was heard.
        """
        if not self._wire.asked:
            self._wire.hearing()

    def _text(self, secret: object) -> str | bytes:
        """Return what is to be looked for, and remember to mask it."""
        if isinstance(secret, Secret):
            secret = secret.reveal()
        if not isinstance(secret, str | bytes):
            raise TypeError(f"A secret is a text or bytes, not {type(secret).__name__}.")
        self._asked[secret if isinstance(secret, str) else secret.decode("utf-8", "backslashreplace")] = None
        return secret

    def __repr__(self) -> str:
        return f"<mail_tap: {', '.join(map(repr, self._ports))}, heard by {self.mode}>"
