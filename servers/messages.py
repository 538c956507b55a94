"""What the servers have to say to people: English messages, which whoever runs the servers may translate.

The translations are in `locale/` (GNU gettext); the servers themselves load none.
"""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802  # gettext's own name for "translate this later"
    """Mark a message for the catalogue."""
    return message
