"""Starts a program, waits for it, and prints what it cost: seconds, processor seconds, memory, exit status.

The memory is the peak in KiB; processor time includes that of the program's own children.

A process of its own, because the peak memory that Linux tells of a child begins with what its parent held
when it started it: this one holds little.
"""

import os
import sys
import time


def main() -> None:
    """Run the command line's program, its output going to the file named first."""
    begin = time.perf_counter()
    child = os.fork()
    if not child:
        nothing = os.open(os.devnull, os.O_RDWR)
        out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for target, source in enumerate((nothing, out, nothing)):
            os.dup2(source, target)
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # the rows of our own table
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - begin
    print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
