"""Carries one browser's connection to the webmail: h11 frames requests and answers, asyncio moves bytes."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import h11

from mailtap.servers.patient import PatientProtocol
from mailtap.servers.webmail import Answer, Request

if TYPE_CHECKING:
    from mailtap.servers.confidant import Confidant
    from mailtap.servers.limits import Limits
    from mailtap.servers.webmail import Webmail

_FORM_LIMIT: Final = 8192


class WebmailProtocol(PatientProtocol):
    """One connection: as many requests as the browser likes, one after the other; progress is an answer."""

    def __init__(self, webmail: Webmail, *, limits: Limits, confidant: Confidant) -> None:
        super().__init__(limits=limits, confidant=confidant)
        self._webmail = webmail
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._content = bytearray()
        self._served = self._refused = False
        self._junk = 0

    @property
    def finished(self) -> bool:
        """Whether the browser left with nothing unanswered."""
        return self._served and self._request is None

    def data_received(self, data: bytes) -> None:
        """Take what the browser sent."""
        self._confidant.received(data)
        if self._refused:
            self._junk += len(data)
            if self._junk > self._limits.junk_octets and self._transport is not None:
                self._transport.abort()
        elif self._transport is not None and not self._transport.is_closing():
            self._pump(data)

    def _go_on(self) -> None:
        self._pump(b"")

    def _pump(self, data: bytes) -> None:
        """Serve what has been asked for, and what the new bytes ask for."""
        try:
            if data:
                self._http.receive_data(data)
            self._serve()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def _serve(self) -> None:
        """Answer every request that is complete, as long as the browser reads the answers."""
        while self._writable and not self._refused and self._transport is not None:
            event = self._http.next_event()
            match event:
                case h11.Request():
                    self._request, self._content = event, bytearray()
                    if self._http.they_are_waiting_for_100_continue:
                        go_on = h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[])
                        self._write(self._http.send(go_on) or b"")
                case h11.Data(data=data):
                    self._content += data
                    if len(self._content) > _FORM_LIMIT:
                        self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                        return
                case h11.EndOfMessage():
                    self._reply()
                case _:  # more is needed, or no more will come
                    return

    def _reply(self) -> None:
        request = self._request
        assert request is not None  # noqa: S101  # h11 gives the end of a message after its beginning
        cookie = "; ".join(value.decode("latin-1") for name, value in request.headers if name == b"cookie")
        answer = self._webmail.answer(
            Request(
                method=request.method.decode("latin-1"),
                target=request.target.decode("latin-1"),
                cookie=cookie,
                content=bytes(self._content),
            )
        )
        self._send(answer, head_only=request.method == b"HEAD")
        self._request, self._served = None, True
        self._restart_timer()
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        elif self._transport is not None:
            self._transport.close()

    def _send(self, answer: Answer, *, head_only: bool = False) -> None:
        fields = [*answer.fields, ("Content-Length", str(len(answer.content))), ("Cache-Control", "no-store")]
        head = h11.Response(status_code=answer.status, reason=answer.status.phrase, headers=fields)
        out = self._http.send(head) or b""
        if answer.content and not head_only:
            out += self._http.send(h11.Data(data=answer.content)) or b""
        self._write(out + (self._http.send(h11.EndOfMessage()) or b""))

    def _refuse(self, status: int) -> None:
        """Answer that a request is no good, and hang up."""
        if self._transport is None:
            return
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(Answer(status=HTTPStatus(status), fields=(("Connection", "close"),)))
        if self._transport.can_write_eof():
            self._transport.write_eof()  # who closes with bytes unread may take the answer back (RST)
            self._refused = True
        else:
            self._transport.close()
