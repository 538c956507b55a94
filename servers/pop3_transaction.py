"""POP3 commands on a locked maildrop (RFC 1939, sections 5 and 7): maildrop and argument in, reply out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailtap.servers import pop3_replies as replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.servers.mailbox import Maildrop, Message

_DIGITS: Final = 10  # more than any message number or line count that means something


class BadCommand(Exception):  # noqa: N818  # the client's mistake, not an error of ours
    """The command cannot be carried out; the message is for the client."""


def stat(drop: Maildrop, _argument: bytes) -> bytes:
    """STAT: how many messages, how many octets."""
    sizes = [replies.octets(message) for _, message in drop.present()]
    return replies.ok(f"{len(sizes)} {sum(sizes)}")


def list_sizes(drop: Maildrop, argument: bytes) -> bytes:
    """LIST: the size of one message, or of each."""
    return _scan(drop, argument, lambda message: str(replies.octets(message)))


def list_uids(drop: Maildrop, argument: bytes) -> bytes:
    """UIDL: the unique id of one message, or of each."""
    return _scan(drop, argument, lambda message: message.uid)


def retrieve(drop: Maildrop, argument: bytes) -> bytes:
    """RETR: a message."""
    return replies.message(_find(drop, argument)[1].content)


def top(drop: Maildrop, argument: bytes) -> bytes:
    """TOP: a message's header and so many lines of its body."""
    which, _, count = argument.partition(b" ")
    lines = _number(count)
    if lines is None:
        raise BadCommand("TOP takes a message and a number of lines")
    return replies.message(replies.top(_find(drop, which)[1].content, lines))


def delete(drop: Maildrop, argument: bytes) -> bytes:
    """DELE: mark a message, to be removed at QUIT."""
    number, _ = _find(drop, argument)
    drop.delete(number)
    return replies.ok("Marked")


def reset(drop: Maildrop, _argument: bytes) -> bytes:
    """RSET: take all marks back."""
    drop.reset()
    return replies.ok("All marks taken back")


def do_nothing(_drop: Maildrop, _argument: bytes) -> bytes:
    """NOOP."""
    return replies.ok("Nothing done")


def _scan(drop: Maildrop, argument: bytes, show: Callable[[Message], str]) -> bytes:
    if argument:
        number, message = _find(drop, argument)
        return replies.ok(f"{number} {show(message)}")
    rows = [f"{number} {show(message)}" for number, message in drop.present()]
    return replies.listing("1 message" if len(rows) == 1 else f"{len(rows)} messages", rows)


def _find(drop: Maildrop, argument: bytes) -> tuple[int, Message]:
    number = _number(argument)
    message = None if number is None else drop.get(number)
    if number is None or message is None:
        raise BadCommand("No such message")
    return number, message


def _number(argument: bytes) -> int | None:
    return int(argument) if argument.isdigit() and len(argument) <= _DIGITS else None


COMMANDS: Final = {
    b"DELE": delete,
    b"LIST": list_sizes,
    b"NOOP": do_nothing,
    b"RETR": retrieve,
    b"RSET": reset,
    b"STAT": stat,
    b"TOP": top,
    b"UIDL": list_uids,
}
