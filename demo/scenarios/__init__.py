"""The table of scenarios: one row is one way to send and fetch a mail, and what it is expected to leak.

A new row appears by itself in the commands, the tests, the matrix and the pages in docs/. Each group has
a file; `offers` has the services that several rows share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtap.demo.scenarios.every_leg import EVERY_LEG
from mailtap.demo.scenarios.login_only import LOGIN_ONLY
from mailtap.demo.scenarios.metadata import METADATA
from mailtap.demo.scenarios.nothing_done import NOTHING_DONE
from mailtap.demo.scenarios.one_leg import ONE_LEG
from mailtap.demo.scenarios.other_side import OTHER_SIDE
from mailtap.demo.scenarios.row import Group, Hop, Leg, Risk, Scenario
from mailtap.demo.scenarios.stripped import STRIPPED

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BY_NAME", "SCENARIOS", "Group", "Hop", "Leg", "Risk", "Scenario"]

SCENARIOS = (*NOTHING_DONE, *LOGIN_ONLY, *ONE_LEG, *EVERY_LEG, *OTHER_SIDE, *STRIPPED, *METADATA)

BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}
