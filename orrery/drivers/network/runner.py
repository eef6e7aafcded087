"""Runs one command and tells failure by its own words. It knows nothing of networks."""

import subprocess

Command = tuple[str, ...]


class CommandFailed(Exception):
    """A command could not be started or did not end well."""


class Runner:
    """Runs commands behind a fixed prefix, each with a time limit."""

    def __init__(self, prefix: Command = (), timeout_s: float = 20.0) -> None:
        self._prefix = prefix
        self._timeout_s = timeout_s

    def output(self, command: Command, text: str = "") -> str:
        """Standard output; raises CommandFailed with the first lines of standard error."""
        done = self._run(command, text)
        if done.returncode != 0:
            reason = " ".join(done.stderr.split())[:400] or f"exit status {done.returncode}"
            raise CommandFailed(f"{' '.join(command)}: {reason}")
        return done.stdout

    def succeeds(self, command: Command, text: str = "") -> bool:
        return self._run(command, text).returncode == 0

    def _run(self, command: Command, text: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                [*self._prefix, *command],
                input=text,
                capture_output=True,
                text=True,
                check=False,
                timeout=self._timeout_s,
            )
        except FileNotFoundError as error:
            raise CommandFailed(f"{error.filename}: not installed on this host") from None
