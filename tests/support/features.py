"""The table of what the listener hears; `docs/supported.md` is made from it."""

from __future__ import annotations

from features_logins import LOGINS
from features_mail import MAILS
from features_recognition import RECOGNITION
from features_wire import CARRIED

FEATURES = (*LOGINS, *MAILS, *CARRIED, *RECOGNITION)
