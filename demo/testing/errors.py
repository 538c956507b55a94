"""What can go wrong for a test that taps the wire, each by its name and with what to do."""

from __future__ import annotations


class MailTapError(Exception):
    """The tap cannot answer; the message says why, and what to do."""


class NothingHeard(MailTapError):  # noqa: N818  # named, like the others, for what happened
    """The client never connected: silence on an empty wire proves nothing."""


class TapDeaf(MailTapError):  # noqa: N818
    """The tap did not hear the canary, or not all that crossed the wire: its silence proves nothing."""


class PacketsDropped(TapDeaf):
    """The system dropped packets before the tap could hear them."""


class TapUnavailable(MailTapError):  # noqa: N818
    """This machine does not let the tap listen in the way that was asked for."""


class BadMark(MailTapError):  # noqa: N818
    """A marker, an option or an overridden fixture says something that means nothing here."""


class SecretTooShort(MailTapError):  # noqa: N818
    """The text to look for is so short that it would be found by chance."""


class NewFieldVisible(MailTapError, AssertionError):  # noqa: N818
    """A field is readable on the wire that the baseline does not have."""


class NoBaseline(MailTapError):  # noqa: N818
    """There is no baseline of this name to compare with."""
