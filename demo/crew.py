"""Does jobs side by side in forked processes, each of which can then change itself as it likes."""

from __future__ import annotations

import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

Job = TypeVar("Job")
Result = TypeVar("Result")

PATIENCE: Final = 5.0  # seconds for a worker to end in good order
_INTERRUPTS: Final = {signal.SIGINT, signal.SIGTERM}


@dataclass(frozen=True, slots=True)
class Fell:
    """A job that was not done.

    Attributes:
        reason: why, in plain English.
    """

    reason: str


class Crew(Generic[Job, Result]):
    """Some workers and their jobs; each worker is a process that knows all that this one knows now.

    To be made before any thread starts, and only where processes can fork.

    Args:
        jobs: what is to be done.
        prepare: called once in each worker; returns what does a job there.
        size: how many workers at most.
    """

    def __init__(
        self, jobs: Sequence[Job], prepare: Callable[[], Callable[[Job], Result]], size: int
    ) -> None:
        self._jobs = jobs
        self._prepare = prepare
        self._workers: dict[Connection, ForkProcess] = {}
        # An interrupt now would unwind a worker into this process's code, or have it forgotten here.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            for _ in range(min(size, len(jobs))):
                self._hire()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def results(self) -> Iterator[tuple[int, Result | Fell]]:
        """Yield the number of each job and what came of it, as they are done; then dismiss the workers."""
        try:
            yield from self._done()
        finally:
            self._dismiss()

    def _done(self) -> Iterator[tuple[int, Result | Fell]]:
        waiting = list(range(len(self._jobs)))[::-1]
        busy: dict[Connection, int] = {}
        idle = list(self._workers)
        while waiting or busy:
            while waiting and idle:
                worker, number = idle.pop(), waiting.pop()
                worker.send(number)
                busy[worker] = number
            if not busy:
                yield from (
                    (number, Fell("every process that could have run it has died")) for number in waiting
                )
                return
            for ready in wait(list(busy)):
                worker = next(each for each in busy if each is ready)
                number = busy.pop(worker)
                try:
                    yield number, worker.recv()
                    idle.append(worker)
                except EOFError:
                    yield number, Fell("the process that ran it has died")

    def _hire(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        strangers = [*self._workers, ours]
        process = multiprocessing.get_context("fork").Process(
            target=self._work, args=(theirs, strangers), daemon=True
        )
        process.start()
        theirs.close()
        self._workers[ours] = process

    def _work(self, office: Connection, strangers: Sequence[Connection]) -> None:
        """Do one job after the other, in the worker."""
        for connection in strangers:  # or nobody would notice when this process's parent is gone
            connection.close()
        # A terminal sends Ctrl-C to everybody; who ends the workers is their parent.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
        do: Callable[[Job], Result] | None = None
        while True:
            try:
                number = office.recv()
            except (EOFError, ConnectionError):  # the latter where the last result was never fetched
                return
            try:
                do = do or self._prepare()
                result: Result | Fell = do(self._jobs[number])
            except Exception as error:  # noqa: BLE001  # one job that fails must not stop the others
                result = Fell(f"{type(error).__name__}: {error}")
            try:
                office.send(result)
            except ConnectionError:  # nobody waits for it any more
                return

    def _dismiss(self) -> None:
        for connection in self._workers:
            connection.close()
        for process in self._workers.values():
            process.terminate()
        for process in self._workers.values():
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
