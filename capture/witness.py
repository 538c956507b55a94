"""A second opinion: the logins that tshark, through pyshark, hears in the same capture.

tshark reassembles and dissects, `hearsay` makes logins of its fields, and `compare` holds them against
what our own listener heard. Mechanisms that the witness does not reach are not compared.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mailtap.capture.hearsay import MECHANISMS, Login, overhear
from mailtap.capture.language import N_, Explained, system_reason
from mailtap.capture.model import Field, Leak, Note, Packet, Protocol, Secret
from mailtap.capture.scratch import scratch_folder
from mailtap.capture.sinks import SinkError, write_pcapng
from mailtap.capture.tshark import TsharkAbsentError, TsharkFailedError, dissect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_ABSENT = N_("No second witness: tshark is missing (Debian: sudo apt install tshark).")
_UNSTORED = N_("The second witness failed: the capture could not be stored for tshark ({reason}).")
_DISAGREE = N_(
    "The listener heard {listener} that tshark did not, and tshark {witness} that the listener did not"
)
_BEYOND = N_("No second opinion: the second witness, tshark, does not read logins by {mechanisms}.")


class Hearing(StrEnum):
    """Whether the witness could be heard."""

    HEARD = "heard"
    ABSENT = "absent"  # tshark is not on this machine
    FAILED = "failed"  # tshark is, but crashed, fell silent or could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """What the witness heard.

    Attributes:
        hearing: whether it could be heard at all.
        logins: the logins, in the order in which they were completed.
        reason: where it could not, why and what to do.
        witness: its name and version, such as `tshark 4.0.17`.
    """

    hearing: Hearing
    logins: tuple[Login, ...] = field(default=(), repr=False)
    reason: Note | None = None
    witness: str = ""


class Agreement(StrEnum):
    """The outcome of a comparison, as the `witness` of a JSON summary."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    ABSENT = "absent"


class Claim(NamedTuple):
    """What one side says it heard: a user name, or a login with its password or digest."""

    protocol: Protocol
    mechanism: str
    field: Field
    username: str
    secret: Secret


Claims = tuple[Claim, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the listener and the witness heard the same logins.

    Attributes:
        agreement: agrees, disagrees (also where the witness failed), or absent (also where all that the
            listener heard is beyond the witness).
        failed: whether the witness failed: it says nothing against the listener, but nothing for it either.
        only_listener: what the witness did not hear, in order.
        only_witness: what the listener did not hear, in order.
        reason: why, where it does not agree.
        witness: the witness's name and version.
        beyond: how the logins were made that the witness does not reach, such as `HTML FORM (HTTP)`.
    """

    agreement: Agreement
    failed: bool = False
    only_listener: Claims = ()
    only_witness: Claims = ()
    reason: Note | None = None
    witness: str = ""
    beyond: tuple[str, ...] = ()


def hear(
    capture: str | os.PathLike[str] | Iterable[Packet],
    *,
    ports: Mapping[int, Protocol],
    patience: float = 60.0,
) -> Testimony:
    """Let tshark read a capture, and return the logins it hears there.

    A missing or broken tshark is a testimony too, never an exception. No process is left behind. It
    runs an event loop of its own: from a coroutine, call it in a thread.

    Args:
        capture: a capture file, or packets.
        ports: what is spoken on which server port; TLS needs no entry.
        patience: after how many seconds to give up.

    Raises:
        FileNotFoundError: there is no such capture file.
    """
    if isinstance(capture, str | os.PathLike):
        return _ask(Path(capture), ports, patience)
    with scratch_folder() as folder:
        path = folder / "capture.pcapng"
        try:
            write_pcapng(path, capture)
        except SinkError as error:
            return _failure(_unstored(error))
        return _ask(path, ports, patience)


def compare(leaks: Sequence[Leak], testimony: Testimony) -> Verdict:
    """Hold the listener's leaks against the witness's testimony.

    Only logins count, and of these only the mechanisms that the witness reaches. Each repeated login
    must be heard by both. Where there is nothing else, nobody confirms the listener, and that is said.
    """
    if testimony.hearing is not Hearing.HEARD:
        agreement = Agreement.ABSENT if testimony.hearing is Hearing.ABSENT else Agreement.DISAGREES
        failed = testimony.hearing is Hearing.FAILED
        return Verdict(agreement=agreement, failed=failed, reason=testimony.reason, witness=testimony.witness)
    ours = [claim for leak in leaks if (claim := _claim(leak))]
    names, logins = _compare_names(ours, testimony.logins), _compare_logins(ours, testimony.logins)
    only_listener, only_witness = names[0] + logins[0], names[1] + logins[1]
    beyond = _beyond(leaks)
    if not only_listener and not only_witness:
        if beyond and not ours:
            reason = Note(text=_BEYOND, values=(("mechanisms", ", ".join(beyond)),))
            return Verdict(
                agreement=Agreement.ABSENT, reason=reason, witness=testimony.witness, beyond=beyond
            )
        return Verdict(agreement=Agreement.AGREES, witness=testimony.witness, beyond=beyond)
    counts = (("listener", len(only_listener)), ("witness", len(only_witness)))
    return Verdict(
        agreement=Agreement.DISAGREES,
        only_listener=only_listener,
        only_witness=only_witness,
        reason=Note(text=_DISAGREE, values=counts),
        witness=testimony.witness,
        beyond=beyond,
    )


def _ask(path: Path, ports: Mapping[int, Protocol], patience: float) -> Testimony:
    try:
        layers, version = dissect(path, ports=ports, patience=patience)
    except TsharkAbsentError:
        return Testimony(hearing=Hearing.ABSENT, reason=Note(text=_ABSENT))
    except TsharkFailedError as error:
        return _failure(error)
    return Testimony(hearing=Hearing.HEARD, logins=tuple(overhear(layers)), witness=version)


def _failure(error: Explained) -> Testimony:
    # A message stays one, so that it can be translated.
    values = tuple(
        (name, value if isinstance(value, str) else str(value)) for name, value in error.values.items()
    )
    return Testimony(hearing=Hearing.FAILED, reason=Note(text=error.text, values=values))


def _unstored(error: SinkError) -> Explained:
    cause = error.__cause__
    return Explained(_UNSTORED, reason=system_reason(cause) if isinstance(cause, OSError) else str(error))


def _beyond(leaks: Iterable[Leak]) -> tuple[str, ...]:
    """Return the ways of logging in that the witness does not reach, each once, in order."""
    return tuple(
        dict.fromkeys(
            f"{leak.mechanism} ({leak.protocol.upper()})"
            for leak in leaks
            if leak.mechanism is not None and leak.mechanism not in MECHANISMS and not leak.guessed
        )
    )


def _claim(leak: Leak) -> Claim | None:
    """Return what a leak claims, or None where the witness could not know of it."""
    if leak.guessed or leak.mechanism not in MECHANISMS:
        return None
    match leak.field:
        case Field.USERNAME:
            return Claim(leak.protocol, leak.mechanism, leak.field, leak.value.reveal(), Secret(""))
        case Field.PASSWORD:
            return Claim(leak.protocol, leak.mechanism, leak.field, leak.username or "", leak.value)
        case Field.DIGEST:
            digest = Secret(leak.value.reveal().lower())
            return Claim(leak.protocol, leak.mechanism, leak.field, leak.username or "", digest)
        case _:
            return None


def _compare_names(ours: Iterable[Claim], theirs: Iterable[Login]) -> tuple[Claims, Claims]:
    """Return the user names that only we and only they heard; how often does not matter."""
    known_to_us = {(claim.protocol, claim.username): claim for claim in ours if claim.field is Field.USERNAME}
    known_to_them = {(login.protocol, _text(login.username)): login for login in theirs}
    # Whether a name that no password followed is a leak yet is for the listener to say.
    complete = {
        (login.protocol, _text(login.username)): Claim(
            login.protocol, login.mechanism, Field.USERNAME, _text(login.username), Secret("")
        )
        for login in theirs
        if login.field is not Field.USERNAME
    }
    only_ours = tuple(claim for key, claim in known_to_us.items() if key not in known_to_them)
    return only_ours, tuple(claim for key, claim in complete.items() if key not in known_to_us)


def _compare_logins(ours: Iterable[Claim], theirs: Iterable[Login]) -> tuple[Claims, Claims]:
    """Return the logins that only we and only they heard; each counts as often as it was heard."""
    ours_counted = Counter(claim for claim in ours if claim.field is not Field.USERNAME)
    theirs_counted = Counter(
        Claim(
            login.protocol,
            login.mechanism,
            login.field,
            _text(login.username),
            Secret(_text(login.secret.lower() if login.field is Field.DIGEST else login.secret)),
        )
        for login in theirs
        if login.field is not Field.USERNAME
    )
    only_ours, only_theirs = ours_counted - theirs_counted, theirs_counted - ours_counted
    return tuple(only_ours.elements()), tuple(only_theirs.elements())


def _text(octets: bytes) -> str:
    """Return bytes spelled as a leak's value spells them: what is not UTF-8 as backslash escapes."""
    return octets.decode("utf-8", "backslashreplace")
