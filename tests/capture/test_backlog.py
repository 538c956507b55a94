"""Packets wait for the listener in their order, none is lost, and not too many are held."""

from __future__ import annotations

import threading
from itertools import chain

from mailtap.capture.backlog import Backlog
from mailtap.capture.model import Packet


def packets(*numbers: int) -> list[Packet]:
    return [Packet(number, number, 1, b"", 0) for number in numbers]


def test_the_one_who_captures_waits_where_too_many_wait() -> None:
    backlog, added = Backlog(2), []

    def add() -> None:
        for number in range(0, 10, 2):
            backlog.put(packets(number, number + 1))
            added.extend((number, number + 1))

    thread = threading.Thread(target=add)
    thread.start()
    heard: list[int] = []
    for got in backlog.until(lambda: len(heard) == 10):
        heard.extend(each.number for each in got)
        assert len(added) <= len(heard) + 4, "two were taken, two wait, two are being added"
    thread.join()
    assert heard == added == list(range(10))


def test_what_came_together_is_heard_together() -> None:
    backlog = Backlog(1)
    backlog.put(packets(1, 2, 3))
    assert [[each.number for each in got] for got in backlog.rest(lambda: True)] == [[1, 2, 3]]


def test_what_still_waits_at_the_end_is_the_rest() -> None:
    backlog = Backlog(10)
    for number in range(4):
        backlog.put(packets(number))
    seen = 0

    def interrupted() -> bool:
        return seen == 1

    for _ in backlog.until(interrupted):
        seen += 1
    assert [each.number for each in chain(*backlog.rest(lambda: True))] == [1, 2, 3]


def test_what_comes_before_the_end_of_the_other_side_is_not_missed() -> None:
    backlog = Backlog(1)
    thread = threading.Thread(target=lambda: [backlog.put(packets(number)) for number in range(100)])
    thread.start()
    heard = [each.number for each in chain(*backlog.rest(lambda: not thread.is_alive()))]
    assert heard == list(range(100))
