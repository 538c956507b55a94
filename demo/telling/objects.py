"""An outcome as JSON objects, for programs: one for each leaked field, and one summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailtap.capture.model import Leak, Note
from mailtap.capture.report import to_json
from mailtap.capture.witness import Agreement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtap.capture.witness import Verdict
    from mailtap.demo.outcome import Fields, Outcome

Object = dict[str, Any]


def leak_objects(outcome: Outcome, file: str | None, *, mask: bool) -> Iterator[Object]:
    """Yield an object for each leak, each note, and all that was stolen, with the scenario and the hop.

    Args:
        outcome: the run.
        file: the capture file that was kept, if any.
        mask: whether passwords, tokens and digests stand as stars.
    """
    items: list[Leak | Note] = [*outcome.leaks, *outcome.notes]
    for item in items:
        flow = item.evidence.flow if isinstance(item, Leak) else item.flow
        place = {"scenario": outcome.scenario.name, "hop": outcome.hop(flow) if flow else None}
        yield {**to_json(item, mask=mask), "file": file, **place}
    yield from _stolen_objects(outcome, mask=mask)


def _stolen_objects(outcome: Outcome, *, mask: bool) -> Iterator[Object]:
    """Yield an object for each value that somebody in the path read on his own side.

    It need not have been on the wire, so it is a note, not a leak: `field` is null, and `stolen` says what.
    """
    for hop, read in outcome.read.items():
        for leak in read:
            told = to_json(leak, mask=mask)
            yield {
                "field": None,
                "note": "The attacker read it on his own side.",
                "stolen": told["field"],
                **{key: told[key] for key in ("value", "protocol", "mechanism", "username", "accepted")},
                "scenario": outcome.scenario.name,
                "hop": hop,
            }


def summary_object(outcome: Outcome, verdict: Verdict) -> Object:
    """Return the summary of a run: what leaked against what was expected to.

    Args:
        outcome: the run.
        verdict: what the second witness says.
    """
    return {
        "scenario": outcome.scenario.name,
        "ok": outcome.ok and verdict.agreement is not Agreement.DISAGREES,
        "expected": _plain(outcome.expected),
        "leaked": _plain(outcome.leaked),
        "guessed": _plain(outcome.guessed),
        "attack_succeeded": outcome.attack_succeeded,
        "stolen": _plain(outcome.stolen),
        "unexpected": _plain(outcome.unexpected),
        "missing": _plain(outcome.missing),
        "rung": outcome.rung,
        "packets": len(outcome.packets),
        "dropped": outcome.dropped,
        "witness": str(verdict.agreement),
        "problems": [str(problem) for problem in outcome.problems],
    }


def _plain(fields: Fields) -> dict[str, list[str]]:
    return {str(hop): [str(field) for field in names] for hop, names in fields.items()}
