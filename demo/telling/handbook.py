"""The table of scenarios as a page to read: what each row protects, what it does not, and what to do instead.

It says what the rows expect. That the wire agrees is what the tests and `mailtap demo matrix` are for.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from mailtap.capture.language import N_
from mailtap.capture.model import Field
from mailtap.capture.report import FIELDS, json_line
from mailtap.demo.telling.words import SERVICE_NAMES, doer, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailtap.capture.language import Say
    from mailtap.demo.scenarios import Leg, Scenario
    from mailtap.demo.telling.reader import Reader

_RFC: Final = "https://www.rfc-editor.org/rfc/rfc{number}"
_CVE: Final = "https://www.cve.org/CVERecord?id={name}"
_GENERATED: Final = "<!-- Written by `make pages` from the table in demo/scenarios/. -->"
_INTRODUCTION: Final = N_(
    "Every row of the table, as `mailtap demo SCENARIO` runs it. What it leaks is what the row expects;"
    " `mailtap demo matrix` measures it on the wire, and a run in which the two disagree fails."
)
_PORTS: Final = N_(
    "The ports are the services' own. Somebody in the path listens on another, and so do servers where those"
    " may not be opened; the story names the port at which it was."
)
_SEE_ALSO: Final = N_(
    "Which line of the article leads to which scenario: [countermeasures.md](countermeasures.md)."
)


def handbook(scenarios: Sequence[Scenario], say: Say) -> str:
    """Return the page in Markdown."""
    title = say("Scenarios")
    blocks = [_GENERATED, f"# {title}", say(_INTRODUCTION), say(_PORTS), say(_SEE_ALSO)]
    for group, rows in groupby(scenarios, lambda row: row.group):
        blocks.append(f"## {say(group)}")
        for row in rows:
            blocks += _row(row, say)
    return "\n\n".join(blocks) + "\n"


def contents(scenarios: Sequence[Scenario], reader: Reader) -> str:
    """Return the names and titles, for a terminal: a line for each, or where that is too narrow, two."""
    lines: list[str] = []
    for group, members in groupby(scenarios, lambda row: row.group):
        rows = list(members)
        width = max(len(row.name) for row in rows)  # of the group's own: the longest would push others out
        told = [f"  {row.name:{width}}  {reader.say(row.title)}" for row in rows]
        if max(map(cell_len, told)) > reader.width:
            told = [line for row in rows for line in _in_two(row, reader)]
        lines += [reader.say(group), *told]
    return "\n".join(lines) + "\n"


def _in_two(row: Scenario, reader: Reader) -> list[str]:
    return [f"  {row.name}", *(line.plain for line in reader.wrapped(reader.say(row.title), hang="    "))]


def objects(scenarios: Sequence[Scenario], say: Say) -> str:
    """Return an object for each row, one a line, for programs."""
    return "".join(
        json_line(
            {
                "scenario": row.name,
                "group": say(row.group),
                "title": say(row.title),
                "expected": {hop: sorted(row.expected[hop]) for hop in row.hops},
            }
        )
        + "\n"
        for row in scenarios
    )


def _row(row: Scenario, say: Say) -> list[str]:
    facts = [
        (say("risk"), say(row.risk)),
        (say("countermeasure"), say(row.countermeasure)),
        (say("protects"), say(row.protects)),
        (say("does not protect"), say(row.exposes)),
        (say("do instead"), say(row.advice)),
        (say("standards"), listed((_linked(name) for name in row.standards), say)),
    ]
    heads = [say("leg"), say("service"), say("leaks")]
    legs = [[_doer(leg, say), _service(leg, say), _leaks(row, leg, say)] for leg in row.legs]
    return [
        f"### `{row.name}`",
        f"**{say(row.title)}**",
        say(row.why),
        _table(heads, legs),
        _table(["", ""], facts),
    ]


def _doer(leg: Leg, say: Say) -> str:
    who = doer(leg, say)
    if not leg.refused:
        return who
    # With somebody in the path, it is the mail program that leaves; else the server lets nobody in.
    return say("{who} (breaks off)", who=who) if leg.man else say("{who} (refused)", who=who)


def _service(leg: Leg, say: Say) -> str:
    name = say(SERVICE_NAMES[leg.service.security], protocol=leg.service.protocol.upper())
    return say("{service}, port {port}", service=name, port=leg.service.port)


def _leaks(row: Scenario, leg: Leg, say: Say) -> str:
    """Return what the hop of a leg leaks, once for each hop, and what an attacker gets there."""
    if leg.thief:
        return say("to the thief: {got}", got=_fields(row.loot.get(leg.hop, ()), say))
    if leg != [each for each in row.legs if each.hop is leg.hop][-1]:
        return ""
    said = _fields(row.expected[leg.hop], say)
    if any(each.hop is leg.hop and each is not leg and not each.thief for each in row.legs):
        said = say("together with the line above: {fields}", fields=said)
    if not leg.man:
        return said
    got = _fields(row.loot.get(leg.hop, ()), say)
    return say("{said}; to the man in the path: {got}", said=said, got=got)


def _fields(fields: Iterable[Field], say: Say) -> str:
    known = [say(FIELDS[field]) for field in Field if field in set(fields)]
    return listed(known, say) or say("nothing")


def _linked(name: str) -> str:
    kind, _, number = name.partition(" ")
    return f"[{name}]({_RFC.format(number=number) if kind == 'RFC' else _CVE.format(name=name)})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
