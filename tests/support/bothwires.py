"""Runs each test that uses `mail_tap` with both ways to hear the wire; import the fixture to have it so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mailtap.demo.network.rungs import Rung, probe
from mailtap.demo.testing.wire import Mode

if TYPE_CHECKING:
    from mailtap.demo.testing.factory import TapFactory


@pytest.fixture(scope="session", params=list(Mode))
def mail_tap_factory(request: pytest.FixtureRequest, mail_tap_factory: TapFactory) -> TapFactory:
    """The plugin's own factory, told how to hear."""
    if request.param is Mode.PACKETS and not probe(Rung.HOST_LOOPBACK).works:
        pytest.skip("only where this user may capture on the loopback")
    return replace(mail_tap_factory, mode=request.param)
