"""What stops a command: one line for standard error. Knows nothing of where it is shown."""


class CommandFailed(Exception):
    """The command could not be done; the message is one line that names the remedy."""


class Refused(CommandFailed):
    """The engine answered no; `code` is OpenNebula's error code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Unreachable(CommandFailed):
    """No engine answers at the address."""


NO_EXISTS = 0x0400
