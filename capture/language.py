"""The language that people are spoken to in: gettext catalogues (GNU gettext, PO format).

A message is written in English where it is used, `say("Heard {count} packets", count=3)`; the English
text with its placeholders is the key of its translation. Each package of mailtap keeps its catalogue in
its own `locale/` folder.
"""

from __future__ import annotations

import errno
import gettext
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LANGUAGES = ("en", "ja")
DOMAIN = "mailtap"


class Say(Protocol):
    """Translates an English message and fills its `{placeholders}`."""

    def __call__(self, message: str, /, **values: object) -> str:
        """Return the message in the reader's language."""


class Message(str):
    """An English message that the catalogues translate; what is filled into one and is none is a name.

    A file may be called `body`, as a field is: only the field has another name in Japanese.
    """

    __slots__ = ()


class Explained(Exception):  # noqa: N818  # a base; what went wrong is said by those derived from it
    """What went wrong, for the person who runs the program: an English message, and what to fill it with.

    Attributes:
        text: the message, with its `{placeholders}`; a key for translation.
        values: what to fill in; a value that is itself a `Message` is translated, too, as is an error.
    """

    def __init__(self, text: str, /, **values: object) -> None:
        super().__init__(text.format(**values))
        self.text = text
        self.values = values


def explained(error: Exception, say: Say) -> str:
    """Return what an exception says in the reader's language, as far as it has a translation."""
    if isinstance(error, OSError):
        reason = fill("{reason}", [("reason", system_reason(error))], say)
        return reason if error.filename is None else f"{error.filename}: {reason}"
    if not isinstance(error, Explained):
        return str(error)
    return fill(error.text, error.values.items(), say)


def fill(text: str, values: Iterable[tuple[str, object]], say: Say) -> str:
    """Return a message in the reader's language, and so whatever in it is itself a message."""
    return say(text, **{name: _worded(value, say) for name, value in values})


def _worded(value: object, say: Say) -> object:
    match value:
        case Message():
            return say(value)
        case Exception():
            return explained(value, say)
        case _:
            return value


def system_reason(error: OSError) -> str:
    """Return why the system refused something: where it is a common reason, a message for `say`."""
    return _SYSTEM_REASONS.get(error.errno or 0) or error.strerror or str(error)


def N_(message: str) -> Message:  # noqa: N802  # gettext's own name for "translate this later"
    """Mark a message of a table for the catalogue; whoever prints it calls `say` on it."""
    return Message(message)


def from_environment(environment: Mapping[str, str]) -> str:
    """Return the language code that the environment asks for (POSIX: LC_ALL, LC_MESSAGES, LANG).

    Args:
        environment: such as `os.environ`.

    Returns:
        One of `LANGUAGES`; English where it asks for none of the others.
    """
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if wanted := environment.get(variable):
            return next((code for code in LANGUAGES if wanted.lower().startswith(code)), "en")
    return "en"


def load(code: str, *folders: Path) -> Say:
    """Return the `say` of one language.

    Args:
        code: one of `LANGUAGES`.
        folders: the `locale/` folders of the packages that will speak.
    """
    catalogue = gettext.NullTranslations()
    for folder in folders:
        catalogue.add_fallback(gettext.translation(DOMAIN, folder, [code], fallback=True))

    def say(message: str, /, **values: object) -> str:
        # An empty key would fetch the catalogue's own header.
        translated = catalogue.gettext(message) if message else message
        return translated.format(**values) if values else translated

    return say


# The system says these in English, whatever language the reader has.
_SYSTEM_REASONS: Final = {
    errno.EACCES: N_("Permission denied"),
    errno.EADDRINUSE: N_("Address already in use"),
    errno.EEXIST: N_("File exists"),
    errno.EFBIG: N_("File too large"),
    errno.EIO: N_("Input/output error"),
    errno.EISDIR: N_("Is a directory"),
    errno.ELOOP: N_("Too many levels of symbolic links"),
    errno.EMFILE: N_("Too many open files"),
    errno.ENAMETOOLONG: N_("File name too long"),
    errno.ENOENT: N_("No such file or directory"),
    errno.ENOEXEC: N_("Exec format error"),
    errno.ENOSPC: N_("No space left on device"),
    errno.ENOTDIR: N_("Not a directory"),
    errno.EPERM: N_("Operation not permitted"),
    errno.EROFS: N_("Read-only file system"),
}
