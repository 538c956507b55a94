"""What all tests share."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator

# A property that holds must not fail because the machine was busy; a stuck one meets pytest's own timeout.
settings.register_profile("mailtap", deadline=None)
settings.load_profile("mailtap")

# Set where everything that tests need is installed: then a skip is a failure, unless its reason begins
# with "only" ("only for an ordinary user: root may write everywhere").
NO_SKIPS = "MAILTAP_NO_SKIPS"


def pytest_configure() -> None:
    """Let Ctrl-C be Ctrl-C in the programs that tests start, also where this one was told to ignore it (nohup)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(NO_SKIPS):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")  # file, line, reason
        if not reason.startswith("only "):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, and {NO_SKIPS} is set: {reason}"
    return report
