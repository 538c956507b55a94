"""The table of what is measured: each program, how it is called, and how its answer is counted."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.captures import Capture, Truth

_BIN = Path(sys.executable).parent
_WORD = re.compile(rb"[A-Za-z0-9+/=_<>@.-]{6,}")
_MARK = re.compile(rb"<\d+\.bench@example\.org>")
_HEARD = ("password", "token", "digest")


class Found(NamedTuple):
    """What a program found of what is there; None where it does not look for such a thing.

    Attributes:
        logins: number of logins.
        messages: number of messages.
        wrong: number of logins and messages that it reports and that are not there.
    """

    logins: int | None
    messages: int | None
    wrong: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A program that reads capture files.

    Attributes:
        name: for the table.
        command: its arguments; `{file}` is the capture.
        count: counts its answer: the files it wrote, standard output first, and the truth.
        largest: megabytes of the largest capture that it is given; None for any.
        remark: what a reader of the table must know.
    """

    name: str
    command: Sequence[str]
    count: Callable[[list[Path], Truth], Found]
    largest: int | None = None
    remark: str = ""

    @property
    def installed(self) -> bool:
        """Whether the program is on this machine."""
        return shutil.which(self.command[0]) is not None

    def arguments(self, capture: Capture) -> list[str]:
        """Return the command for a capture."""
        return [word.format(file=capture.path.resolve()) for word in self.command]


# --- counting ------------------------------------------------------------------------------------------


@dataclass
class _Message:
    """The fields of one message, as JSON lines tell them."""

    subject: str = ""
    body: str = ""
    attachments: tuple[str, ...] = field(default_factory=tuple)


def exactly(answers: list[Path], truth: Truth) -> Found:
    """Count Mailtap's JSON lines: each value must be the very value, each verdict the very verdict."""
    logins: Counter[tuple[object, ...]] = Counter()
    messages: defaultdict[int, _Message] = defaultdict(_Message)
    with answers[0].open(encoding="utf-8") as lines:
        for line in lines:
            leak = json.loads(line)
            if leak["field"] in _HEARD:
                logins[leak["mechanism"], leak["username"], leak["value"], leak["accepted"]] += 1
            elif leak["field"] == "attachment":
                messages[leak["message"]].attachments += (leak["sha256"],)
            elif leak["field"] in ("subject", "body"):
                setattr(messages[leak["message"]], leak["field"], leak["value"])
    told = Counter((each.subject, each.body, each.attachments) for each in messages.values())
    sent_logins: Counter[tuple[object, ...]] = Counter(
        (each.mechanism, each.username, each.secret, each.accepted) for each in truth.logins
    )
    sent_messages = Counter((each.subject, each.body, each.attachments) for each in truth.messages)
    wrong = (logins - sent_logins).total() + (told - sent_messages).total()
    return Found((logins & sent_logins).total(), (told & sent_messages).total(), wrong)


def exactly_logins(answers: list[Path], truth: Truth) -> Found:
    """Count the JSON lines of a run that was asked for logins only: no message may be among them."""
    found = exactly(answers, truth._replace(messages=[]))
    return found._replace(messages=None)


def by_secret(answers: list[Path], truth: Truth) -> Found:
    """Count generously: a login is found if its secret is in the answer, in base64 or not."""
    words = _words(answers, _WORD)
    logins = sum(not words.isdisjoint((login.secret, *login.sent)) for login in truth.logins)
    return Found(logins, None)


def by_name(answers: list[Path], truth: Truth) -> Found:
    """Count logins whose user name is in the answer."""
    words = _words(answers, _WORD)
    return Found(sum(login.username in words for login in truth.logins), None)


def by_mark(answers: list[Path], truth: Truth) -> Found:
    """Count messages whose Message-ID is in the answer."""
    marks = _words(answers, _MARK)
    return Found(None, sum(message.mark in marks for message in truth.messages))


def by_secret_and_mark(answers: list[Path], truth: Truth) -> Found:
    """Count both."""
    return Found(by_secret(answers, truth).logins, by_mark(answers, truth).messages)


def _words(answers: Iterable[Path], pattern: re.Pattern[bytes]) -> set[str]:
    """Return all matches in the answers."""
    found: set[str] = set()
    for path in answers:
        with path.open("rb") as lines:
            for line in lines:
                found.update(word.decode("ascii") for word in pattern.findall(line))
    return found


# --- the table -----------------------------------------------------------------------------------------

LOGINS, DECODED = "mailtap, logins only", "mailtap, everything decoded"
CREDENTIALS, FIELDS = "tshark -z credentials", "tshark -T fields"
_MAILTAP = (str(_BIN / "mailtap"), "capture", "--json", "--no-guess")
_FIELDS = (
    "pop.request.command", "pop.request.parameter", "smtp.auth.username", "smtp.auth.password",
    "smtp.req.parameter", "smtp.command_line", "imap.request", "imf.message_id",
)  # fmt: skip

RIVALS = (
    Rival(name=LOGINS, command=(*_MAILTAP, "--logins", "{file}"), count=exactly_logins),
    Rival(name=DECODED, command=(*_MAILTAP, "{file}"), count=exactly),
    Rival(
        name=CREDENTIALS,
        command=("tshark", "-q", "-r", "{file}", "-z", "credentials"),
        count=by_name,
        remark="user names only, no passwords",
    ),
    Rival(
        name=FIELDS,
        command=(
            "tshark",
            "-r",
            "{file}",
            "-Y",
            "pop || smtp || imap",
            "-T",
            "fields",
            *(word for name in _FIELDS for word in ("-e", name)),
        ),
        count=by_secret_and_mark,
        remark="base64 counts as found",
    ),
    Rival(name="dsniff -n", command=("dsniff", "-n", "-p", "{file}"), count=by_secret),
    Rival(name="mailsnarf", command=("mailsnarf", "-p", "{file}"), count=by_mark),
    Rival(
        name="tcpflow",
        command=("tcpflow", "-r", "{file}"),
        count=by_mark,
        remark="writes all streams to files and names nothing",
    ),
    Rival(
        name="scapy",
        command=(sys.executable, "-m", "bench.readers.with_scapy", "{file}"),
        count=by_secret,
        largest=50,
        remark="prints payload lines that look like logins",
    ),
    Rival(
        name="pyshark",
        command=(sys.executable, "-m", "bench.readers.with_pyshark", "{file}"),
        count=by_secret,
        largest=50,
        remark="prints the requests' parameters",
    ),
)
"""What is measured, the first one against all others."""


def sharing(jobs: int) -> tuple[Rival, Rival]:
    """Return Mailtap with so many processes: logins only, and everything decoded."""
    command = (*_MAILTAP, "--jobs", str(jobs))
    return (
        Rival(
            name=f"{LOGINS}, --jobs {jobs}", command=(*command, "--logins", "{file}"), count=exactly_logins
        ),
        Rival(name=f"{DECODED}, --jobs {jobs}", command=(*command, "{file}"), count=exactly),
    )
