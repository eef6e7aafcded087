"""Where the address and the credentials come from."""

from pathlib import Path

import pytest

from orrery.cli import access
from orrery.cli.access import find_access
from orrery.cli.failure import CommandFailed


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment without any file of this machine."""
    monkeypatch.setattr(access, "SYSTEM_HOME", tmp_path / "var")
    return {"HOME": str(tmp_path / "me")}


def test_without_anything_the_default_address_and_no_credentials(alone: dict[str, str]) -> None:
    found = find_access(None, None, None, alone)
    assert (found.endpoint, found.session) == ("http://localhost:2633/RPC2", None)


def test_local_daemon_is_found_by_its_home(alone: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "var/one_auth", "oneadmin:secret\n")
    write(tmp_path / "var/endpoint", "http://127.0.0.1:4000\n")
    found = find_access(None, None, None, alone)
    assert (found.endpoint, found.session) == ("http://127.0.0.1:4000/RPC2", "oneadmin:secret")


def test_users_own_files_come_before_a_daemons(alone: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "var/one_auth", "oneadmin:secret")
    write(tmp_path / "me/.one/one_auth", "alice:hers")
    write(tmp_path / "me/.one/one_endpoint", "http://cloud:2633/RPC2")
    found = find_access(None, None, None, alone)
    assert (found.endpoint, found.session) == ("http://cloud:2633/RPC2", "alice:hers")


def test_environment_comes_before_files(alone: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "me/.one/one_auth", "alice:hers")
    named = write(tmp_path / "other", "bob:his")
    environment = alone | {"ONE_AUTH": str(named), "ONE_XMLRPC": "http://b:1/RPC2"}
    found = find_access(None, None, None, environment)
    assert (found.endpoint, found.session) == ("http://b:1/RPC2", "bob:his")


def test_named_home_comes_before_users_files(alone: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "me/.one/one_auth", "alice:hers")
    write(tmp_path / "trial/one_auth", "oneadmin:trial")
    environment = alone | {"ORRERY_HOME": str(tmp_path / "trial")}
    assert find_access(None, None, None, environment).session == "oneadmin:trial"


def test_arguments_come_first(alone: dict[str, str]) -> None:
    found = find_access("http://h:9", "carol", "pw:1", alone | {"ONE_XMLRPC": "http://b:1"})
    assert (found.endpoint, found.session) == ("http://h:9/RPC2", "carol:pw:1")


def test_unreadable_one_auth_says_so(alone: dict[str, str]) -> None:
    with pytest.raises(CommandFailed, match="ONE_AUTH: cannot read '/nowhere'"):
        find_access(None, None, None, alone | {"ONE_AUTH": "/nowhere"})


def test_secrets_are_not_in_the_text_of_an_access(alone: dict[str, str]) -> None:
    assert "pw" not in repr(find_access(None, "carol", "pw", alone))


def test_daemons_secret_goes_to_that_daemon_only(alone: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "me/.one/one_endpoint", "http://cloud:2633/RPC2")
    write(tmp_path / "var/endpoint", "http://127.0.0.1:1")
    write(tmp_path / "me/.local/share/orrery-playground/one_auth", "oneadmin:toy")
    write(tmp_path / "me/.local/share/orrery-playground/endpoint", "http://127.0.0.1:2")
    found = find_access(None, None, None, alone)
    assert (found.endpoint, found.session) == ("http://127.0.0.1:2/RPC2", "oneadmin:toy")
