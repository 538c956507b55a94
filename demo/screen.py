"""What a mail program shows to the person before it, while it is on a leg of the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailtap.demo.client.padlock import Padlock
    from mailtap.demo.client.settings import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What the person sees.

    Attributes:
        padlock: what can be shown of TLS; None where the program was not in it, or not for long enough.
        failure: why the program gave up; None where it did not.
    """

    padlock: Padlock | None = None
    failure: Reason | None = None
