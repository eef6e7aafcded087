"""What stops a command: one line for standard error. Knows nothing of where it is shown."""


class CommandFailed(Exception):
    """The command could not be done; the message is one line that names the remedy."""


class Refused(CommandFailed):
    """The engine answered no."""


class Unreachable(CommandFailed):
    """No engine answers at the address."""
