"""Runs the toy servers in a thread of their own: the shell around everything else in this package."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from mailtap.servers.accounts import Account, Accounts
from mailtap.servers.confidant import Confidant, tell_nobody
from mailtap.servers.imap.session import ImapSession
from mailtap.servers.ledger import Ledger, SessionCount
from mailtap.servers.limits import Limits
from mailtap.servers.listener import ServersError, listen, loopback
from mailtap.servers.mailbox import Mailboxes
from mailtap.servers.messages import N_, english
from mailtap.servers.pop3 import Pop3Session
from mailtap.servers.reception import Conversation, Reception
from mailtap.servers.service import Security, ServerProtocol, Service
from mailtap.servers.session_transport import Session, SessionTransport
from mailtap.servers.smtp import LabSmtp
from mailtap.servers.smtp_policy import SmtpPolicy
from mailtap.servers.visitors import Visitors
from mailtap.servers.webmail import Webmail

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Any

    from mailtap.servers.forwarding import Forward
    from mailtap.servers.messages import Say
    from mailtap.servers.tls import LabCertificates

_FAULTS_KEPT: Final = 100
_QUIET: Final = logging.NullHandler()


def fresh_nonce() -> str:
    """Return something that was never said before, in the shape of RFC 1939, section 7: `number.number`."""
    return f"{secrets.randbelow(10**6)}.{secrets.randbelow(10**12)}"


class ToyServers:
    """The lab's mail servers, listening on loopback until stopped.

        with ToyServers([service], accounts=[taro]) as servers:
            host, port = servers.endpoints[service]

    Args:
        services: the ports to listen on, no two alike.
        accounts: who has a mailbox and may log in.
        certificates: needed by ports with TLS.
        host: a loopback address.
        limits: how much a peer may ask.
        nonce: makes the changing part of APOP and CRAM-MD5 challenges.
        confidant: makes who is told what a session of a service says; without it, nobody is.
        forward: passes on a mail for addresses of another server, from somebody who logged in; it raises
            `NotForwarded` where it cannot. Without it, such mail is refused.
        say: the language of the webmail's pages; what machines read is English always.

    Attributes:
        mailboxes: everyone's mail, by login name; to put messages in and to look at them.

    Raises:
        ValueError: the services or accounts contradict each other.
        AddressRefused: `host` is no loopback address.
    """

    def __init__(  # noqa: PLR0913  # all but one have a default
        self,
        services: Sequence[Service],
        *,
        accounts: Sequence[Account],
        certificates: LabCertificates | None = None,
        host: str = "127.0.0.1",
        limits: Limits = Limits(),  # noqa: B008  # frozen
        nonce: Callable[[], str] = fresh_nonce,
        confidant: Callable[[Service], Confidant] = tell_nobody,
        forward: Forward | None = None,
        say: Say = english,
    ) -> None:
        if len(set(services)) != len(services):
            raise ValueError("Two services are alike: list each once, or give them different ports.")
        if certificates is None and any(service.security is not Security.PLAIN for service in services):
            raise ValueError("A service uses TLS: pass certificates=LabCertificates().")
        self._services = tuple(services)
        self._accounts = Accounts(accounts)
        self._certificates = certificates
        self._host = str(loopback(host))
        self._limits = limits
        self._nonce = nonce
        self._confidant = confidant
        self._forward = forward
        self._say = say
        self._visitors = Visitors()
        self._started = int(time.time())  # new mailboxes, so new identifiers in IMAP
        self._ledger = Ledger(services)
        self._endpoints: dict[Service, tuple[str, int]] = {}
        self._faults: deque[str] = deque(maxlen=_FAULTS_KEPT)
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self._stop_requested: Callable[[], object] | None = None
        self.mailboxes = Mailboxes(self._accounts, limits)

    @property
    def endpoints(self) -> Mapping[Service, tuple[str, int]]:
        """Where each service listens: address and port."""
        return dict(self._endpoints)

    @property
    def sessions(self) -> Mapping[Service, SessionCount]:
        """The sessions on each port so far."""
        return self._ledger.counts()

    @property
    def faults(self) -> tuple[str, ...]:
        """What went wrong inside the servers that no client should have been able to cause; normally none."""
        return tuple(self._faults)

    def start(self) -> Self:
        """Listen on every port; when this returns, clients can connect.

        Raises:
            PortTaken: another program listens on one of them.
            PortForbidden: one of them is reserved for the administrator.
            RuntimeError: these servers were started before.
        """
        if self._thread is not None:
            raise RuntimeError("These servers were started before: make new ones.")
        # aiosmtpd logs hostile input as warnings and tracebacks. Whoever configures logging still gets
        # them; without that, they must not fall through to standard error.
        logging.getLogger("mail.log").addHandler(_QUIET)
        receptions: list[Reception] = []
        try:
            for service in self._services:
                sock = listen(self._host, service.port)
                receptions.append(self._reception(service, sock, self._context(service)))
                self._endpoints[service] = sock.getsockname()[:2]
            self._thread = threading.Thread(
                target=self._run, args=(receptions,), name="mailtap-servers", daemon=True
            )
            self._thread.start()
            self._ready.wait()
        except BaseException:
            self.stop()
            for reception in receptions:
                reception.sock.close()
            raise
        if self._failure is not None:
            text = N_("The servers did not start: {reason}.")
            raise ServersError(text, reason=self._failure) from self._failure
        return self

    def wait_idle(self, timeout: float, sessions: int = 0) -> bool:
        """Wait until every session has ended; return whether that came true within so many seconds.

        Args:
            timeout: how long to wait at most, in seconds.
            sessions: how many sessions, on all ports together, must have been started by then.
        """
        return self._ledger.wait_idle(timeout, sessions)

    def stop(self) -> None:
        """Stop listening, end all sessions and wait for the thread; bounded, and harmless when repeated."""
        thread = self._thread
        if thread is None or thread.ident is None:
            return
        self._ready.wait()
        if self._stop_requested is not None:
            with suppress(RuntimeError):  # stopped before: the event loop is closed
                self._stop_requested()
        thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _context(self, service: Service) -> ssl.SSLContext | None:
        if self._certificates is None:
            return None
        return self._certificates.server_context(client_certificate=service.client_certificate)

    def _reception(self, service: Service, sock: socket.socket, context: ssl.SSLContext | None) -> Reception:
        factories = {
            ServerProtocol.SMTP: self._smtp,
            ServerProtocol.POP3: self._pop3,
            ServerProtocol.HTTP: self._http,
            ServerProtocol.IMAP: self._imap,
        }
        return Reception(
            service=service,
            sock=sock,
            factory=factories[service.protocol](service, context),
            context=context,
            ledger=self._ledger,
            limits=self._limits,
        )

    def _pop3(self, service: Service, context: ssl.SSLContext | None) -> Callable[[], Conversation]:
        return self._sessions(Pop3Session, service, context)

    def _imap(self, service: Service, context: ssl.SSLContext | None) -> Callable[[], Conversation]:
        return self._sessions(partial(ImapSession, validity=self._started), service, context)

    def _sessions(
        self, session: Callable[..., Session], service: Service, context: ssl.SSLContext | None
    ) -> Callable[[], Conversation]:
        """Return what carries each session of a protocol of ours."""
        return lambda: SessionTransport(
            session(
                service,
                accounts=self._accounts,
                mailboxes=self.mailboxes,
                limits=self._limits,
                nonce=self._nonce,
            ),
            context=context,
            limits=self._limits,
            confidant=self._confidant(service),
            visitors=self._visitors,
        )

    def _http(self, service: Service, _context: ssl.SSLContext | None) -> Callable[[], Conversation]:
        # Here, because a lesson without webmail should not wait for h11 to load.
        from mailtap.servers.webmail_server import WebmailProtocol  # noqa: PLC0415

        webmail = Webmail(
            self._accounts,
            self.mailboxes,
            self._nonce,
            self._say,
            secure=service.security is Security.TLS,
        )
        return lambda: WebmailProtocol(webmail, limits=self._limits, confidant=self._confidant(service))

    def _smtp(self, service: Service, context: ssl.SSLContext | None) -> Callable[[], Conversation]:
        policy = SmtpPolicy(
            accounts=self._accounts,
            mailboxes=self.mailboxes,
            limits=self._limits,
            visitors=self._visitors,
            forward=self._forward,
        )
        return lambda: LabSmtp(
            service,
            policy,
            context=context,
            limits=self._limits,
            nonce=self._nonce,
            confidant=self._confidant(service),
        )

    def _run(self, receptions: list[Reception]) -> None:
        try:
            asyncio.run(self._serve(receptions))
        except OSError as error:  # no event loop to be had: this machine is out of files or memory
            self._failure = error
        finally:
            for reception in receptions:
                reception.sock.close()
            self._ready.set()

    async def _serve(self, receptions: list[Reception]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._note_fault)
        stopping = asyncio.Event()
        desks = [loop.create_task(reception.receive()) for reception in receptions]
        for desk in desks:
            desk.add_done_callback(self._note_dead_desk)
        self._stop_requested = lambda: loop.call_soon_threadsafe(stopping.set)
        self._ready.set()
        await stopping.wait()
        for desk in desks:
            desk.cancel()
        await asyncio.gather(*desks, return_exceptions=True)

    def _note_dead_desk(self, desk: asyncio.Task[None]) -> None:
        if not desk.cancelled() and (error := desk.exception()):
            self._faults.append(f"A port is no longer served: {error!r}")

    def _note_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        fault = f"{context.get('message')}: {context.get('exception')!r}"
        if fault not in self._faults:  # what happens ten times a second is said once
            self._faults.append(fault)
