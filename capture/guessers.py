"""Guesses passwords from digests beside the listening, so that nothing is told later for it.

A guess takes a million tries where none fits. So there is a process for each processor that tries words, and
a thread that waits for it: `python -m mailtap.capture.guessers [WORDLIST]` reads a line of JSON for each
digest, and answers with one: the password, or null. It ends with its input, and so with whoever asks.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import cached_property
from itertools import takewhile
from queue import SimpleQueue
from typing import TYPE_CHECKING

from mailtap.capture.guess import (
    WordListError,
    bundled_words,
    candidates,
    find,
    guess,
    guessable,
    guessed,
    octets,
    read_words,
)
from mailtap.capture.model import Field

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable
    from concurrent.futures import ThreadPoolExecutor

    from mailtap.capture.model import Leak

_MOST_WAITING = 1 << 14
_MOST_NAMES = 1 << 16
_MOST_KNOWN = 8  # passwords of one user that are remembered


class Guessers:
    """Guess the passwords behind digests, several at once, while something else goes on.

    Attributes:
        left: number of digests for which the guessing is not finished, or was never begun.
        problem: why the words could not be read to the end.
    """

    def __init__(self, wordlist: str | None, processes: int, on_found: Callable[[], None]) -> None:
        """Prepare; the first process begins with the first digest.

        Args:
            wordlist: the file with the words to try; None for the bundled list.
            processes: how many digests are tried at once.
            on_found: called, from another thread, each time a password has been found.
        """
        self.left = 0
        self.problem: WordListError | None = None
        self._wordlist = wordlist
        self._most_at_once = processes
        self._on_found = on_found
        self._mine = threading.local()  # each thread's process
        self._processes: list[subprocess.Popen[bytes]] = []
        self._change = threading.Condition()  # what follows changes only while it is held
        self._waiting = self._asked = 0
        self._found: dict[int, Leak] = {}
        self._known: dict[str, tuple[str, ...]] = {}
        self._closed = False

    def close(self) -> None:
        """Let go of everything; what is still being guessed is left."""
        with self._change:
            self._closed = True
            processes, self._processes = self._processes, []
        for process in processes:
            process.kill()
        if self._asked:
            self._threads.shutdown(cancel_futures=True)
        for process in processes:
            process.communicate()

    def hear(self, leak: Leak) -> None:
        """Begin to guess where a leak is a digest; remember where it is a password."""
        if leak.field is Field.PASSWORD and leak.username:
            with self._change:
                self._learn(leak)
        elif guessable(leak):
            with self._change:
                self.left += 1
                if self._waiting >= _MOST_WAITING or self.problem is not None:
                    return
                self._waiting += 1
                self._asked += 1
                number = self._asked
            self._threads.submit(self._guess, number, leak)

    def wait(self, seconds: float) -> int:
        """Wait until no digest waits, so long at most; return how many still do."""
        with self._change:
            self._change.wait_for(lambda: not self._waiting, seconds)
            return self._waiting

    def found(self) -> list[Leak]:
        """Return the passwords found since this was last asked, in the order of their digests."""
        with self._change:
            found, self._found = self._found, {}
        return [found[number] for number in sorted(found)]

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # only where there is a digest

        return ThreadPoolExecutor(self._most_at_once)

    def _guess(self, number: int, digest: Leak) -> None:
        """Look for one password; runs in a thread."""
        password: Leak | None = None
        finished = False
        try:
            if self.problem is None:
                # Whoever has heard a user's password tries it first.
                known = self._known.get(digest.username or "", ())
                password = self._try(digest, known) or self._search(digest)
                finished = True
        except WordListError as error:
            self.problem = error
        finally:
            with self._change:
                if not self._closed:
                    self._waiting -= 1
                    self.left -= finished
                    if password is not None:
                        self._found[number] = password
                        self._learn(password)
                    self._change.notify_all()
        if password is not None:
            self._on_found()

    def _learn(self, leak: Leak) -> None:
        """Remember a user's password, to try it with the user's other digests."""
        name, password = leak.username or "", leak.value.reveal()
        known = self._known.get(name, ())
        if password not in known and (name in self._known or len(self._known) < _MOST_NAMES):
            self._known[name] = (password, *known)[:_MOST_KNOWN]

    def _search(self, digest: Leak) -> Leak | None:
        """Try all words in this thread's process; in this one, where that cannot be had."""
        question = [digest.mechanism, digest.challenge, digest.value.reveal(), digest.username]
        try:
            process = self._process()
            if process is not None and process.stdin is not None and process.stdout is not None:
                process.stdin.write(json.dumps(question).encode() + b"\n")
                process.stdin.flush()
                if answer := process.stdout.readline():
                    password: str | None = json.loads(answer)
                    return None if password is None else guessed(digest, password)
        except (OSError, ValueError):
            pass  # it cannot begin, or it is gone in the middle of its answer
        self._mine.process = None
        return self._try(digest, candidates(_words(self._wordlist), digest.username))

    def _try(self, digest: Leak, words: Iterable[str]) -> Leak | None:
        """Try words as long as anybody waits for it."""
        return guess(digest, takewhile(lambda _: not self._closed, words))

    def _process(self) -> subprocess.Popen[bytes] | None:
        """Return this thread's process; None where everything has ended."""
        import subprocess  # noqa: PLC0415  # only where there is a digest

        process: subprocess.Popen[bytes] | None = getattr(self._mine, "process", None)
        if process is None:
            command = [sys.executable, "-P", "-m", "mailtap.capture.guessers"]
            with self._change:
                if self._closed:
                    return None
                # In a session of its own: Ctrl-C is for whoever asks.
                process = self._mine.process = subprocess.Popen(  # noqa: S603
                    command if self._wordlist is None else [*command, self._wordlist],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,  # should it fail, its words are tried here
                    start_new_session=True,
                )
                self._processes.append(process)
        return process


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _words(wordlist: str | None) -> Iterable[str]:
    return bundled_words() if wordlist is None else read_words(wordlist)


def main(wordlist: str | None = None) -> None:
    """Answer the questions on standard input, until it ends."""
    questions: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            questions.put(line)
        os._exit(0)  # whatever is being tried: nobody waits for it any more

    threading.Thread(target=read, daemon=True).start()
    while True:
        mechanism, challenge, digest, username = json.loads(questions.get())
        words = candidates(_words(wordlist), username)
        try:
            password, _ = find(mechanism or "", octets(challenge), digest, words)
        except WordListError:
            return  # whoever asks reads the list, too, and can say what is wrong with it
        sys.stdout.write(json.dumps(password) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
