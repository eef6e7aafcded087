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
    session = f"{user}:{password}" if user is not None and password is not None else None
    return Access(
        rpc_address(endpoint or find_endpoint(environment)),
        session or find_session(environment),
    )


def find_endpoint(environment: Mapping[str, str]) -> str:
    """ONE_XMLRPC, or what an `endpoint` file says, or OpenNebula's default."""
    if environment.get("ONE_XMLRPC"):
        return environment["ONE_XMLRPC"]
    for path in endpoint_files(environment):
        text = read_quietly(path)
        if text:
            return text
    return DEFAULT_ENDPOINT


def find_session(environment: Mapping[str, str]) -> str | None:
    """The first line of the credentials file. A file named by ONE_AUTH must be readable."""
    named = environment.get("ONE_AUTH")
    if named:
        try:
            return Path(named).read_text().strip()
        except OSError as error:
            raise CommandFailed(
                f"ONE_AUTH: cannot read {named!r} ({error.strerror}): "
                "name a file that holds user:password"
            ) from error
    found = (read_quietly(path) for path in auth_files(environment))
    return next((text for text in found if text), None)


def auth_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where credentials may lie when ONE_AUTH is not set."""
    homes = list(daemon_homes(environment))
    if environment.get("ORRERY_HOME"):
        yield homes[0] / "one_auth"
    yield user_home(environment) / ".one/one_auth"
    yield from (home / "one_auth" for home in homes)


def endpoint_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where an address may be written when ONE_XMLRPC is not set."""
    homes = list(daemon_homes(environment))
    if environment.get("ORRERY_HOME"):
        yield homes[0] / "endpoint"
    yield user_home(environment) / ".one/one_endpoint"
    yield from (home / "endpoint" for home in homes)


def daemon_homes(environment: Mapping[str, str]) -> Iterator[Path]:
    """Directories in which a daemon on this machine may live, the most explicit first."""
    if environment.get("ORRERY_HOME"):
        yield Path(environment["ORRERY_HOME"])
    yield SYSTEM_HOME
    yield user_home(environment) / ".local/share/orrery"


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
