"""Call functions of the C library that Python has no name for."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def call(name: str, *arguments: object) -> None:
    """Call a function that returns 0, or -1 with errno set.

    Args:
        name: such as `unshare`.
        arguments: integers, and ctypes buffers.

    Raises:
        OSError: it returned something else, or is not there.
    """
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None, use_errno=True), name)
    except AttributeError as error:
        raise OSError(f"the C library has no {name}") from error
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
