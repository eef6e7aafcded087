"""Finds the engine's address and the credentials as OpenNebula's tools do. Sends nothing."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orrery.cli.failure import CommandFailed

DEFAULT_ENDPOINT = "http://localhost:2633/RPC2"
SYSTEM_HOME = Path("/var/lib/orrery")


@dataclass(frozen=True, slots=True)
class Access:
    """Where to call and as whom. `session` is `user:secret`; None without credentials."""

    endpoint: str
    session: str | None = field(repr=False)


def find_access(
    endpoint: str | None,
    user: str | None,
    password: str | None,
    environment: Mapping[str, str] = os.environ,
) -> Access:
    """Arguments first, then the environment, then the user's files, then a local daemon's home."""
    session, home = given_session(user, password) or find_session(environment)
    return Access(rpc_address(endpoint or find_endpoint(environment, home)), session)


def given_session(user: str | None, password: str | None) -> tuple[str, None] | None:
    """What the options say, when they say both."""
    return None if user is None or password is None else (f"{user}:{password}", None)


def find_session(environment: Mapping[str, str]) -> tuple[str | None, Path | None]:
    """Credentials, and the daemon's home if they come from there.

    Raises:
        CommandFailed: the file that ONE_AUTH names cannot be read.
    """
    named = environment.get("ONE_AUTH")
    if named:
        return read_named(named), None
    for home in auth_places(environment):
        text = read_quietly(home / "one_auth")
        if text:
            return text, None if home == dot_one(environment) else home
    return None, None


def read_named(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise CommandFailed(
            f"ONE_AUTH: cannot read {file!r} ({error.strerror}): "
            "name a file that holds user:password"
        ) from error


def find_endpoint(environment: Mapping[str, str], home: Path | None = None) -> str:
    """ONE_XMLRPC, or what a file says: a daemon's secret goes to that daemon only."""
    if environment.get("ONE_XMLRPC"):
        return environment["ONE_XMLRPC"]
    files = [home / "endpoint"] if home is not None else []
    files.append(dot_one(environment) / "one_endpoint")
    files += [place / "endpoint" for place in daemon_homes(environment)]
    found = (read_quietly(file) for file in files)
    return next((text for text in found if text), DEFAULT_ENDPOINT)


def auth_places(environment: Mapping[str, str]) -> Iterator[Path]:
    """Directories in which `one_auth` may lie; a home that is named comes before the user's own."""
    homes = list(daemon_homes(environment))
    if environment.get("ORRERY_HOME"):
        yield homes.pop(0)
    yield dot_one(environment)
    yield from homes


def dot_one(environment: Mapping[str, str]) -> Path:
    return user_home(environment) / ".one"


def daemon_homes(environment: Mapping[str, str]) -> Iterator[Path]:
    """Directories in which a daemon on this machine may live, the most explicit first."""
    if environment.get("ORRERY_HOME"):
        yield Path(environment["ORRERY_HOME"])
    own = user_home(environment) / ".local/share"
    yield from (SYSTEM_HOME, own / "orrery")
    # `orrery up` has a home of its own: what is played with is not what is worked with.
    yield from (SYSTEM_HOME.with_name("orrery-playground"), own / "orrery-playground")


def user_home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or "/")


def rpc_address(endpoint: str) -> str:
    """`http://host:port` means its /RPC2."""
    bare = endpoint.rstrip("/")
    return bare if bare.endswith("/RPC2") else bare + "/RPC2"


def read_quietly(path: Path) -> str:
    """The stripped text of a file, empty when it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
