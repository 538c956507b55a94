"""Packets wait for the listener in their order, none is lost, and not too many are held."""

from __future__ import annotations

import threading

from mailtap.capture.backlog import Backlog
from mailtap.capture.model import Packet


def packet(number: int) -> Packet:
    return Packet(number, number, 1, b"", 0)


def test_the_one_who_captures_waits_where_too_many_wait() -> None:
    backlog, added = Backlog(2), []

    def add() -> None:
        for number in range(5):
            backlog.put(packet(number))
            added.append(number)

    thread = threading.Thread(target=add)
    thread.start()
    heard = []
    for got in backlog.until(lambda: len(heard) == 5):
        heard.append(got.number)
        assert len(added) <= len(heard) + 3, "one was taken, two wait, one is being added"
    thread.join()
    assert heard == added == [0, 1, 2, 3, 4]


def test_what_still_waits_at_the_end_is_the_rest() -> None:
    backlog = Backlog(10)
    for number in range(4):
        backlog.put(packet(number))
    seen = 0

    def interrupted() -> bool:
        return seen == 1

    for _ in backlog.until(interrupted):
        seen += 1
    assert [each.number for each in backlog.rest(lambda: True)] == [1, 2, 3]


def test_what_comes_before_the_end_of_the_other_side_is_not_missed() -> None:
    backlog = Backlog(1)
    thread = threading.Thread(target=lambda: [backlog.put(packet(number)) for number in range(100)])
    thread.start()
    heard = [each.number for each in backlog.rest(lambda: not thread.is_alive())]
    assert heard == list(range(100))
