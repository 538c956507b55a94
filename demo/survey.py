"""Runs many rows: side by side where each process can have a network of its own, else one after the other."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from mailtap.capture.guessers import processors
from mailtap.capture.scratch import scratch_folder
from mailtap.capture.witness import Agreement, Verdict
from mailtap.demo.crew import Crew, Fell
from mailtap.demo.network.rungs import Rung
from mailtap.demo.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mailtap.demo.lab import Lab
    from mailtap.demo.scenarios import Scenario
    from mailtap.servers.messages import Say

# Here each process enters a network in which it is alone. On the others, all share ports and a wire.
APART: Final = frozenset({Rung.PRIVATE_NETWORK, Rung.ROOT_NETWORK})
_FEWEST: Final = 2  # processes; much of a run is waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """One row that has run, or failed to.

    Attributes:
        outcome: what was heard.
        verdict: what the second witness says of it.
        notes: what is worth saying about the lab, in plain English; keys for translation.
    """

    outcome: Outcome
    verdict: Verdict
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How rows are run.

    Attributes:
        rung: where.
        enter: enters a lab there; once in each process.
        words: opens the word list with which to guess.
        opinion: asks the second witness.
        say: the language of those who see the webmail.
    """

    rung: Rung
    enter: Callable[[], Lab]
    words: Callable[[], Iterable[str]]
    opinion: Callable[[Outcome], Verdict]
    say: Say

    def run(self, scenarios: Sequence[Scenario]) -> Iterator[Surveyed]:
        """Yield each row's result in the rows' order, as soon as all before it are there.

        One that fails is a result as well: nothing was heard, and why is among its problems.

        Raises:
            LabUnavailable: nothing can run here.
        """
        done: dict[int, Surveyed] = {}
        turn = 0
        for number, result in self._results(scenarios):
            done[number] = self._fallen(scenarios[number], result) if isinstance(result, Fell) else result
            while turn in done:
                yield done.pop(turn)
                turn += 1

    def _results(self, scenarios: Sequence[Scenario]) -> Iterator[tuple[int, Surveyed | Fell]]:
        if self.rung in APART:
            size = max(_FEWEST, processors())
            # A process that is killed can remove nothing: what it leaves lies here, and goes with it.
            with scratch_folder() as folder:
                yield from Crew(scenarios, partial(self._prepare_apart, folder), size).results()
            return
        do = self._prepare()
        for number, scenario in enumerate(scenarios):
            try:
                yield number, do(scenario)
            except Exception as error:  # noqa: BLE001  # one row that fails must not stop the others
                yield number, Fell(f"{type(error).__name__}: {error}")

    def _prepare_apart(self, folder: Path) -> Callable[[Scenario], Surveyed]:
        """Do the same in a process of its own, with all that it leaves for a while in that folder."""
        tempfile.tempdir = str(folder)
        return self._prepare()

    def _prepare(self) -> Callable[[Scenario], Surveyed]:
        """Enter the lab, and return what runs a row in it."""
        lab = self.enter()
        from mailtap.demo import stage  # noqa: PLC0415  # asyncio, only now that the lab is entered

        def run(scenario: Scenario) -> Surveyed:
            outcome = stage.run(scenario, lab, self.words, self.say)
            return Surveyed(outcome=outcome, verdict=self.opinion(outcome), notes=lab.remarks)

        return run

    def _fallen(self, scenario: Scenario, fell: Fell) -> Surveyed:
        """Return the result of a row that could not run: silence that proves nothing."""
        outcome = Outcome.nothing(scenario, self.rung, fell.reason)
        return Surveyed(outcome=outcome, verdict=Verdict(agreement=Agreement.ABSENT))
