"""The commands of IMAP (RFC 3501, section 6): session, tag and words in, answers through the session."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from mailtap.servers.imap import replies
from mailtap.servers.imap.search import BadCharset
from mailtap.servers.imap.selected import SYSTEM_FLAGS, Selected, read_flags
from mailtap.servers.imap.state import ANY, LOGGED_IN, LOGGED_OUT, SELECTED, State
from mailtap.servers.imap.words import BadSyntax, Text, keyword, string
from mailtap.servers.mailbox import MailboxFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtap.servers.imap.session import ImapSession
    from mailtap.servers.imap.words import Word

    Words = tuple[Word, ...]

INBOX: Final = "INBOX"


class Command(NamedTuple):
    """A command, and in which states it may be given."""

    run: Callable[[ImapSession, bytes, Words], None]
    states: frozenset[State]


def _arguments(words: Words, least: int, most: int | None = None) -> list[bytes]:
    """Return strings, so many of them.

    Raises:
        BadSyntax: there are more or fewer.
    """
    if not least <= len(words) <= (least if most is None else most):
        raise BadSyntax("Too many or too few arguments")
    return [string(word) for word in words]


# In any state: section 6.1


def _capability(session: ImapSession, tag: bytes, words: Words) -> None:
    _arguments(words, 0)
    session.send(b"* CAPABILITY " + session.able)
    session.answer(tag, "OK", "That is all")


def _noop(session: ImapSession, tag: bytes, words: Words) -> None:
    _arguments(words, 0)
    session.tell_news()
    session.answer(tag, "OK", "Nothing done")


def _logout(session: ImapSession, tag: bytes, words: Words) -> None:
    _arguments(words, 0)
    session.say_goodbye(tag)


def _id(session: ImapSession, tag: bytes, _: Words) -> None:
    """Say who we are (RFC 2971, section 3.1)."""
    session.send(b'* ID ("name" "Mailtap-Lab")')
    session.answer(tag, "OK", "Pleased to meet you")


# Before the login: section 6.2


def _start_tls(session: ImapSession, tag: bytes, words: Words) -> None:
    _arguments(words, 0)
    session.start_tls(tag)


def _authenticate(session: ImapSession, tag: bytes, words: Words) -> None:
    mechanism, *initial = _arguments(words, 1, 2)
    session.authenticate(tag, mechanism.upper().decode("ascii", "replace"), b"".join(initial))


def _login(session: ImapSession, tag: bytes, words: Words) -> None:
    username, password = _arguments(words, 2)
    session.log_in(tag, username, password)


# After the login: section 6.3


def _open(session: ImapSession, tag: bytes, words: Words, *, read_only: bool) -> None:
    (name,) = _arguments(words, 1)
    session.open(None)  # also where there is no such mailbox (section 6.3.1)
    if not _is_inbox(name) or session.mailbox is None:
        session.answer(tag, "NO", "[NONEXISTENT] There is INBOX only")
        return
    mailbox, selected = session.mailbox, Selected(session.mailbox, read_only=read_only)
    kept = () if read_only else (*SYSTEM_FLAGS, "\\*")
    session.send(b"* FLAGS " + replies.flags(SYSTEM_FLAGS))
    session.send(b"* %d EXISTS" % selected.count)
    session.send(b"* 0 RECENT")
    if selected.first_unseen is not None:
        session.send(b"* OK [UNSEEN %d] The first that was not seen" % selected.first_unseen)
    session.send(b"* OK [PERMANENTFLAGS %b] Flags that are kept" % replies.flags(kept))
    session.send(b"* OK [UIDNEXT %d] The next one" % mailbox.next_number)
    session.send(b"* OK [UIDVALIDITY %d] As long as this server runs" % session.validity)
    session.open(selected)
    session.answer(tag, "OK", "[READ-ONLY] Open" if read_only else "[READ-WRITE] Open")


def _listing(session: ImapSession, tag: bytes, words: Words, *, verb: str) -> None:
    reference, pattern = _arguments(words, 2)
    if not pattern and verb == "LIST":  # what parts the levels (section 6.3.8)
        session.send(b'* LIST (\\Noselect) "/" ""')
    elif not reference and _matches(pattern):
        session.send(f'* {verb} (\\HasNoChildren) "/" {INBOX}'.encode())
    session.answer(tag, "OK", "That is all")


def _matches(pattern: bytes) -> bool:
    # Several in a row are one: else the time to see that a name does not match grows beyond all bounds.
    parts = (
        b".*" if part[:1] in {b"*", b"%"} else re.escape(part) for part in re.split(rb"([*%]+)", pattern)
    )
    return re.fullmatch(b"".join(parts), INBOX.encode(), re.IGNORECASE) is not None


def _status(session: ImapSession, tag: bytes, words: Words) -> None:
    if len(words) != 2 or not isinstance(words[1], tuple):  # noqa: PLR2004  # mailbox, items
        raise BadSyntax("STATUS of which mailbox, and what?")
    if not _is_inbox(string(words[0])) or session.mailbox is None:
        session.answer(tag, "NO", "[NONEXISTENT] There is INBOX only")
        return
    messages = session.mailbox.messages
    known = {
        "MESSAGES": len(messages),
        "RECENT": 0,
        "UIDNEXT": session.mailbox.next_number,
        "UIDVALIDITY": session.validity,
        "UNSEEN": sum("\\Seen" not in session.mailbox.flags(message.number) for message in messages),
    }
    names = [keyword(word) for word in words[1]]
    if not set(names) <= set(known):
        raise BadSyntax("No such item")
    told = " ".join(f"{name} {known[name]}" for name in names)
    session.send(f"* STATUS {INBOX} ({told})".encode())
    session.answer(tag, "OK", "That is all")


def _append(session: ImapSession, tag: bytes, words: Words) -> None:
    """Put a message into the mailbox (section 6.3.11)."""
    if len(words) < 2 or not isinstance(words[-1], Text):  # noqa: PLR2004  # mailbox, message
        raise BadSyntax("APPEND what?")
    if not _is_inbox(string(words[0])) or session.mailbox is None:
        session.answer(tag, "NO", "[CANNOT] There is INBOX only")
        return
    names = read_flags(next((word for word in words[1:-1] if isinstance(word, tuple)), ()))
    try:
        message = session.mailbox.add(words[-1].value)
    except MailboxFull as full:
        session.answer(tag, "NO", f"[OVERQUOTA] {full}")
        return
    session.mailbox.set_flags(message.number, names)
    session.tell_news()
    session.answer(tag, "OK", "Stored")


def _subscribe(session: ImapSession, tag: bytes, words: Words) -> None:
    (name,) = _arguments(words, 1)
    if _is_inbox(name):
        session.answer(tag, "OK", "As you like")
    else:
        session.answer(tag, "NO", "[CANNOT] There is INBOX only")


def _refuse(session: ImapSession, tag: bytes, _: Words) -> None:
    session.answer(tag, "NO", "[CANNOT] There is INBOX only")


# In the selected mailbox: section 6.4


def _close(session: ImapSession, tag: bytes, words: Words) -> None:
    _arguments(words, 0)
    if session.selected is not None and not session.selected.read_only:
        session.selected.expunge()
    session.open(None)
    session.answer(tag, "OK", "Closed")


def _expunge(session: ImapSession, tag: bytes, words: Words) -> None:
    _arguments(words, 0)
    if _writable(session, tag) and session.selected is not None:
        session.selected.expunge()
        session.tell_news()
        session.answer(tag, "OK", "Removed")


def _uid(session: ImapSession, tag: bytes, words: Words) -> None:
    if not words:
        raise BadSyntax("UID what?")
    _on_messages(session, tag, words[1:], verb=keyword(words[0]), by_uid=True)


def _on_messages(session: ImapSession, tag: bytes, words: Words, *, verb: str, by_uid: bool = False) -> None:
    selected = session.selected
    if selected is None or verb not in {"COPY", "FETCH", "SEARCH", "STORE"}:
        raise BadSyntax("No such command")
    if verb == "COPY":
        session.answer(tag, "NO", "[CANNOT] There is INBOX only")
        return
    if verb == "STORE" and not _writable(session, tag):
        return
    run = {"FETCH": selected.fetch, "SEARCH": selected.search, "STORE": selected.store}[verb]
    try:
        session.send_all(tag, run(words, by_uid=by_uid))
    except BadCharset as unknown:
        session.answer(tag, "NO", f"[BADCHARSET (US-ASCII UTF-8)] {unknown}")


def _writable(session: ImapSession, tag: bytes) -> bool:
    if session.selected is not None and session.selected.read_only:
        session.answer(tag, "NO", "[CANNOT] It was opened for reading only")
        return False
    return True


def _is_inbox(name: bytes) -> bool:
    return name.upper() == INBOX.encode()


COMMANDS: Final = {
    "APPEND": Command(_append, LOGGED_IN),
    "AUTHENTICATE": Command(_authenticate, LOGGED_OUT),
    "CAPABILITY": Command(_capability, ANY),
    "CHECK": Command(_noop, SELECTED),
    "CLOSE": Command(_close, SELECTED),
    "COPY": Command(partial(_on_messages, verb="COPY"), SELECTED),
    "CREATE": Command(_refuse, LOGGED_IN),
    "DELETE": Command(_refuse, LOGGED_IN),
    "EXAMINE": Command(partial(_open, read_only=True), LOGGED_IN),
    "EXPUNGE": Command(_expunge, SELECTED),
    "FETCH": Command(partial(_on_messages, verb="FETCH"), SELECTED),
    "ID": Command(_id, ANY),
    "LIST": Command(partial(_listing, verb="LIST"), LOGGED_IN),
    "LOGIN": Command(_login, LOGGED_OUT),
    "LOGOUT": Command(_logout, ANY),
    "LSUB": Command(partial(_listing, verb="LSUB"), LOGGED_IN),
    "NOOP": Command(_noop, ANY),
    "RENAME": Command(_refuse, LOGGED_IN),
    "SEARCH": Command(partial(_on_messages, verb="SEARCH"), SELECTED),
    "SELECT": Command(partial(_open, read_only=False), LOGGED_IN),
    "STARTTLS": Command(_start_tls, LOGGED_OUT),
    "STATUS": Command(_status, LOGGED_IN),
    "STORE": Command(partial(_on_messages, verb="STORE"), SELECTED),
    "SUBSCRIBE": Command(_subscribe, LOGGED_IN),
    "UID": Command(_uid, SELECTED),
    "UNSUBSCRIBE": Command(_subscribe, LOGGED_IN),
}
