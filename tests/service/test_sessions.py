"""Logging in: what is accepted, what it costs, how long it lasts, who is stopped."""

import asyncio
import threading
from typing import Any

import pytest
from msgspec.structs import replace

from orrery.core.errors import NotAuthenticated, Unavailable
from orrery.core.messages import Actor, AddToken, RevokeToken
from orrery.service import sessions as module
from orrery.service import users
from orrery.service.sessions import MISSES_ALLOWED, REFUSAL, SESSION_TTL_S, Sessions
from tests.api.world import ADMIN, ANNA, NOW, World, cheap_hasher

pytestmark = pytest.mark.anyio


class CountingHasher:
    """Real argon2, counted."""

    def __init__(self) -> None:
        self.verified: list[str] = []
        self._inner = cheap_hasher()
        self._lock = threading.Lock()

    def hash(self, password: str | bytes) -> str:
        return self._inner.hash(password)

    def verify(self, hash: str, password: str | bytes) -> bool:
        with self._lock:
            self.verified.append(hash)
        return self._inner.verify(hash, password)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def sessions(world: World, hasher: CountingHasher) -> Sessions:
    return Sessions(world.state, world.watch, b"k" * 32, hasher)


async def refused(sessions: Sessions, session: str) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        await sessions.authenticate(session)
    return caught.value.message


async def test_a_password_makes_its_user_the_caller(sessions: Sessions) -> None:
    assert await sessions.authenticate("anna:anna-secret") == ANNA
    assert (await sessions.authenticate("oneadmin:secret")).is_admin


async def test_all_groups_count_the_primary_one_first(world: World, sessions: Sessions) -> None:
    world.put(replace(world.state.users[2], gid=1, groups=(0, 1)))
    assert await sessions.authenticate("anna:anna-secret") == Actor(2, (1, 0))


async def test_a_session_is_hashed_once_for_fifteen_minutes(
    world: World, sessions: Sessions, hasher: CountingHasher
) -> None:
    for _ in range(5):
        await sessions.authenticate("anna:anna-secret")
    assert len(hasher.verified) == 1
    world.watch.time += SESSION_TTL_S
    await sessions.authenticate("anna:anna-secret")
    assert len(hasher.verified) == 2


async def test_many_callers_at_once_share_one_hash(
    sessions: Sessions, hasher: CountingHasher
) -> None:
    callers = [sessions.authenticate("anna:anna-secret") for _ in range(50)]
    assert await asyncio.gather(*callers) == [ANNA] * 50
    assert len(hasher.verified) <= module.HASHES_AT_ONCE


async def test_a_change_of_the_user_ends_its_sessions(world: World, sessions: Sessions) -> None:
    await sessions.authenticate("anna:anna-secret")
    stored = world.hasher.hash("other")
    world.put(replace(world.state.users[2], password_hash=stored))
    assert await refused(sessions, "anna:anna-secret") == REFUSAL
    assert await sessions.authenticate("anna:other") == ANNA


async def test_changed_groups_count_at_once(world: World, sessions: Sessions) -> None:
    await sessions.authenticate("anna:anna-secret")
    world.put(replace(world.state.users[2], groups=(1, 0)))
    assert (await sessions.authenticate("anna:anna-secret")).is_admin


@pytest.mark.parametrize("change", [{"enabled": False}, {"auth_driver": "public"}])
async def test_who_may_not_log_in_is_refused_like_a_wrong_password(
    world: World, sessions: Sessions, hasher: CountingHasher, change: dict[str, Any]
) -> None:
    world.put(replace(world.state.users[2], **change))
    assert await refused(sessions, "anna:anna-secret") == REFUSAL
    assert len(hasher.verified) == 1


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(
    world: World, sessions: Sessions, hasher: CountingHasher
) -> None:
    assert await refused(sessions, "nobody:x") == await refused(sessions, "anna:x")
    unknown, known = hasher.verified
    assert known == world.state.users[2].password_hash
    assert unknown.split("$")[:4] == known.split("$")[:4]


async def test_a_stored_hash_is_no_password(world: World, sessions: Sessions) -> None:
    stored = world.state.users[2].password_hash
    assert await refused(sessions, f"anna:{stored}") == REFUSAL


async def test_a_password_changed_while_it_is_checked_does_not_count(world: World) -> None:
    class Interrupted(CountingHasher):
        def verify(self, hash: str, password: str | bytes) -> bool:
            world.put(replace(world.state.users[2], password_hash="changed"))
            return super().verify(hash, password)

    sessions = Sessions(world.state, world.watch, b"k" * 32, Interrupted())
    assert await refused(sessions, "anna:anna-secret") == REFUSAL


async def test_a_broken_hash_lets_nobody_in(world: World, sessions: Sessions) -> None:
    world.put(replace(world.state.users[2], password_hash="not argon2"))
    assert await refused(sessions, "anna:not argon2") == REFUSAL


# --- failed log-ins ------------------------------------------------------------------------------


async def test_guessing_is_slowed_down_for_its_address_only(
    world: World, sessions: Sessions
) -> None:
    for _ in range(MISSES_ALLOWED):
        with pytest.raises(NotAuthenticated):
            await sessions.authenticate("anna:wrong", "192.0.2.9")
    with pytest.raises(Unavailable, match="Too many failed log-ins: try again in 60 s"):
        await sessions.authenticate("anna:anna-secret", "192.0.2.9")
    with pytest.raises(NotAuthenticated):
        await sessions.authenticate("anna:wrong", "192.0.2.10")
    world.watch.time += 60
    assert await sessions.authenticate("anna:anna-secret", "192.0.2.9") == ANNA


async def test_a_verified_session_is_served_while_others_guess(sessions: Sessions) -> None:
    await sessions.authenticate("anna:anna-secret", "192.0.2.9")
    for _ in range(MISSES_ALLOWED + 1):
        with pytest.raises((NotAuthenticated, Unavailable)):
            await sessions.authenticate("anna:wrong", "192.0.2.9")
    assert await sessions.authenticate("anna:anna-secret", "192.0.2.9") == ANNA


async def test_trying_many_users_from_one_address_is_slowed_down(sessions: Sessions) -> None:
    for number in range(module.MISSES_OF_PEER):
        with pytest.raises(NotAuthenticated):
            await sessions.authenticate(f"user{number}:x", "192.0.2.9")
    with pytest.raises(Unavailable):
        await sessions.authenticate("ben:ben-secret", "192.0.2.9")
    assert (await sessions.authenticate("ben:ben-secret", "192.0.2.10")).uid == 3


async def test_a_flood_of_log_ins_is_turned_away(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    callers = [sessions.authenticate(f"user{i}:x") for i in range(10)]
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert sum(isinstance(result, Unavailable) for result in results) == 7


# --- tokens ---------------------------------------------------------------------------------------


async def token_of(world: World, valid_s: int, given: str = "") -> str:
    return await users.login(world.engine, ANNA, lambda: "t" * 32, "anna", given, valid_s)


async def test_a_token_stands_for_the_password_until_it_expires(
    world: World, sessions: Sessions, hasher: CountingHasher
) -> None:
    token = await token_of(world, 100)
    assert await sessions.authenticate(f"anna:{token}") == ANNA
    assert await sessions.authenticate_token(token) == ANNA
    assert hasher.verified == []
    world.watch.time += 100
    assert await refused(sessions, f"anna:{token}") == REFUSAL
    with pytest.raises(NotAuthenticated):
        await sessions.authenticate_token(token)


async def test_only_the_hash_of_a_token_is_kept(world: World) -> None:
    token = await token_of(world, -1)
    (command,) = world.commands
    assert isinstance(command, AddToken)
    assert token not in repr(world.state.users[2]) + repr(command)
    assert command.expires_at is None


async def test_a_revoked_token_is_worth_nothing(world: World, sessions: Sessions) -> None:
    token = await token_of(world, 100)
    await sessions.authenticate(f"anna:{token}")
    await token_of(world, 0, token)
    assert isinstance(world.commands[-1], RevokeToken)
    assert await refused(sessions, f"anna:{token}") == REFUSAL


async def test_a_token_of_one_user_is_none_of_another(world: World, sessions: Sessions) -> None:
    token = await token_of(world, 100)
    assert await refused(sessions, f"ben:{token}") == REFUSAL
    assert await refused(sessions, f"oneadmin:{token}") == REFUSAL


async def test_bearer_tokens_cannot_be_guessed_without_end(sessions: Sessions) -> None:
    for number in range(MISSES_ALLOWED):
        with pytest.raises(NotAuthenticated):
            await sessions.authenticate_token(f"guess{number}", "192.0.2.9")
    with pytest.raises(Unavailable):
        await sessions.authenticate_token("guess", "192.0.2.9")


async def test_a_token_made_by_an_administrator_is_the_users(
    world: World, sessions: Sessions
) -> None:
    token = await users.login(world.engine, ADMIN, lambda: "t" * 32, "anna", "", 100)
    assert await sessions.authenticate(f"anna:{token}") == ANNA
    assert world.state.users[2].tokens[0].expires_at == NOW + 100
