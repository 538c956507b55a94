"""`python -m mailtap.servers`: the door to the command that runs these servers for people.

The command itself can listen, too, so it lives with the lesson; the servers know nothing of a listener.
"""

import sys

from mailtap.demo import command

if __name__ == "__main__":
    sys.exit(command.main(["servers", *sys.argv[1:]]))
