"""Listens to one capture file with several processes, and tells what one would tell.

The connections are shared out among them (`share.py`). What they tell of each handful of packets is put into
one order, and flows and messages are counted through. Each process, `python -m mailtap.capture.shares WORK`,
writes its parts to standard output, pickled, and ends with whoever reads them.
"""

from __future__ import annotations

import json
import pickle
import sys
from array import array
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import accumulate
from typing import IO, TYPE_CHECKING, NamedTuple, TypeAlias, cast

from mailtap.capture import share, silence
from mailtap.capture.language import N_
from mailtap.capture.model import Leak, Mail, Note
from mailtap.capture.share import Part, Told, Work
from mailtap.capture.sources import regular_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Item: TypeAlias = Leak | Note | Mail | str
"""What is told: a leak, as itself or as a line of JSON; a note; a message to be kept, before its leaks."""

_LEAST = 8 << 20  # bytes; a shorter file is heard before several processes have begun
_DIED = N_("one of the processes that listened has ended too early")


class Heard(NamedTuple):
    """What leaks in a handful of packets.

    Attributes:
        items: in the order in which they became known.
        at: how much of the file has been read, in bytes.
    """

    items: list[Item]
    at: int


def is_worth_it(file: str) -> bool:
    """Return whether several processes can read a file, each from its beginning, and it is long enough."""
    return regular_size(file) >= _LEAST  # where it cannot be looked at, whoever opens it says why


def hear(work: Work) -> Iterator[Heard]:
    """Yield what leaks in a file, handful by handful.

    Args:
        work: what to do, for all shares; its `number` is not looked at.

    Raises:
        OSError: the file cannot be opened or read, or a process has died.
    """
    with ExitStack() as end:
        pipes = [end.enter_context(_process(work._replace(number=number))) for number in range(work.shares)]
        yield from join([_parts(pipe) for pipe in pipes])


def join(shares: Sequence[Iterator[Part]]) -> Iterator[Heard]:
    """Yield the same from what is heard of all shares."""
    tellers = [_Teller(parts) for parts in shares]
    flows = messages = 0
    while not all(teller.part.sums for teller in tellers):
        for teller in tellers:
            teller.go_on()
        flows = _count_flows(tellers, flows)
        items: list[Item] = []
        for teller, told in _in_order(tellers):
            messages += teller.counts(told, messages + 1)
            items += teller.numbered(told)
        yield Heard(items, max(teller.part.at for teller in tellers))
    yield Heard(list(silence.of_capture(_sums(tellers))), max(teller.part.at for teller in tellers))


class _Teller:
    """One process, and how the flows and messages of its share count in the whole capture.

    Attributes:
        part: what it told last.
    """

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self._flows = array("Q")
        self._message = 0, 0  # the latest one: its number in the share, and in the capture
        self.part = Part([], [], 0)

    def go_on(self) -> None:
        """Wait for the next part; there is nothing in it where the last one has been told."""
        self.part = next(self._parts, self.part._replace(begun=[], told=[]))

    def begin(self, flow: int) -> None:
        """Say how the next flow counts."""
        self._flows.append(flow)

    def flow(self, told: Told) -> int:
        """Return how a flow counts; 0 for none."""
        return self._flows[told.flow - 1] if told.flow else 0

    def counts(self, told: Told, message: int) -> bool:
        """Return whether a message is told of for the first time; then it counts as `message`."""
        if not told.message or told.message == self._message[0]:
            return False
        self._message = told.message, message
        return True

    def numbered(self, told: Told) -> Iterator[Item]:
        """Yield what was told, with the numbers of the whole capture in it."""
        item, flow, message = told.item, self.flow(told), self._message[1]
        if isinstance(item, str):
            item = _renumbered(item, "flow", told.flow, flow)
            yield _renumbered(item, "message", told.message, message) if told.message else item
        elif isinstance(item, Leak):
            evidence = replace(item.evidence, flow=replace(item.evidence.flow, number=flow))
            yield replace(item, evidence=evidence, message=message if told.message else None)
        elif isinstance(item, Note):
            yield _note(item, flow, message)
        elif item is not None:
            yield replace(item, number=message)


def _note(note: Note, flow: int, message: int) -> Note:
    """Return a note with other numbers of the flow and the message that it speaks of."""
    if note.flow is None:
        return note
    values = tuple((name, message if name == "message" else value) for name, value in note.values)
    return replace(note, flow=replace(note.flow, number=flow), values=values)


def _renumbered(line: str, name: str, old: int, new: int) -> str:
    """Return a line of JSON with another number under a name: within a value its quotes would be escaped."""
    return line.replace(f'"{name}": {old},', f'"{name}": {new},', 1)


def _count_flows(tellers: Sequence[_Teller], before: int) -> int:
    """Count the flows that began, in the order in which they did; return how many there are now."""
    begun = [
        (packet, number)
        for number, teller in enumerate(tellers)
        # One that began with fragments may name a packet before that of another.
        for packet in accumulate(teller.part.begun, max)
    ]
    for flow, (_, number) in enumerate(sorted(begun), before + 1):
        tellers[number].begin(flow)
    return before + len(begun)


def _in_order(tellers: Sequence[_Teller]) -> list[tuple[_Teller, Told]]:
    """Return what was told last, in the order in which one process would have told it.

    At any moment one flow speaks, or time makes known what several kept; where the capture ends, all end. Of
    several, those that began first are told first.
    """
    has_ended = all(teller.part.sums for teller in tellers)
    end = _sums(tellers).last if has_ended else 0
    return sorted(
        ((teller, told) for teller in tellers for told in teller.part.told),
        key=lambda each: (max(each[1].moment, end), each[0].flow(each[1])),
    )


def _sums(tellers: Sequence[_Teller]) -> silence.Sums:
    return silence.together([teller.part.sums for teller in tellers if teller.part.sums is not None])


def _parts(pipe: IO[bytes]) -> Iterator[Part]:
    """Yield what comes through a pipe."""
    while True:
        try:
            part: Part | OSError = pickle.load(pipe)  # noqa: S301  # what we started ourselves wrote it
        except (EOFError, pickle.UnpicklingError):
            raise OSError(_DIED) from None
        if isinstance(part, OSError):
            raise part
        yield part
        if part.sums is not None:
            return


def command(work: Work) -> list[str]:
    """Return what runs a process that hears a share, and writes its parts to standard output."""
    return [sys.executable, "-P", "-m", "mailtap.capture.shares", json.dumps(work._asdict())]


@contextmanager
def _process(work: Work) -> Iterator[IO[bytes]]:
    """Begin to listen to a share; give what is heard of it, and let it end with the block."""
    import subprocess  # noqa: PLC0415  # only where there are several

    with subprocess.Popen(  # noqa: S603
        command(work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for whoever asks
    ) as process:
        try:
            yield cast("IO[bytes]", process.stdout)
        finally:
            process.kill()


def main(work: str) -> None:
    """Write what is heard of a share to standard output; instead of a part that cannot be had, the OSError.

    Args:
        work: the fields of a `Work`, as a JSON object.
    """
    out = sys.stdout.fileno()
    with suppress(BrokenPipeError), open(out, "wb", closefd=False) as pipe:
        try:
            for part in share.hear(Work(**json.loads(work))):
                pipe.write(pickle.dumps(part, pickle.HIGHEST_PROTOCOL))
                pipe.flush()
        except BrokenPipeError:
            raise  # nobody wants to know any more
        except OSError as error:
            pipe.write(pickle.dumps(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
