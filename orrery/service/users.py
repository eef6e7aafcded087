"""Use cases of users and groups. Checking who calls is in `service.sessions`."""

from collections.abc import Callable

from orrery.core.access import require, require_create
from orrery.core.errors import InvalidInput, NotFound
from orrery.core.messages import Actor, AddToken, AllocateUser, RevokeToken, SetPassword
from orrery.core.model.kinds import Kind
from orrery.core.model.users import Group, User
from orrery.core.model.view import View
from orrery.core.names import check_user_name
from orrery.core.status import Right
from orrery.service.engine import Engine
from orrery.service.listing import select
from orrery.service.objects import created, pick
from orrery.service.sessions import Sessions, token_digest

CALLER = -1
"""In place of a user's or group's id: the caller's own."""

AUTH_DRIVERS = ("core", "public")
MAX_PASSWORD_LENGTH = 512
NEVER = -1
REVOKE = 0
MAX_TOKEN_TIME_S = 1 << 31

TokenFactory = Callable[[], str]
"""Makes a random token; the composition root owns the randomness."""


async def allocate(
    engine: Engine,
    sessions: Sessions,
    actor: Actor,
    name: str,
    password: str,
    driver: str = "core",
    gids: tuple[int, ...] = (),
) -> int:
    """A new user; the first group is the primary one."""
    require_create(actor, Kind.USER)
    check_user_name(name)
    check_password(password)
    if (driver or "core") not in AUTH_DRIVERS:
        raise InvalidInput("auth driver", driver, f"is not known: {', '.join(AUTH_DRIVERS)}")
    for gid in gids:
        pick(engine.view.groups, Kind.GROUP, gid)
    command = AllocateUser(
        cause=engine.new_cause(),
        actor=actor,
        name=name,
        password_hash=await sessions.hash_password(password),
        auth_driver=driver or "core",
        gids=gids,
    )
    return await created(engine, command)


async def set_password(
    engine: Engine, sessions: Sessions, actor: Actor, user_id: int, password: str
) -> int:
    """Takes MANAGE: one's own, or an administrator's. Ends all sessions of the user."""
    user = pick(engine.view.users, Kind.USER, own(user_id, actor))
    require(actor, Right.MANAGE, user)
    check_password(password)
    command = SetPassword(
        cause=engine.new_cause(),
        actor=actor,
        user_id=user.id,
        password_hash=await sessions.hash_password(password),
    )
    await engine.submit(command)
    return user.id


def check_password(password: str) -> None:
    """The value is never shown.

    Raises:
        InvalidInput: empty, too long, or with a blank, which session strings cannot carry.
    """
    if not password:
        raise InvalidInput("password", "", "is empty: give one")
    if len(password) > MAX_PASSWORD_LENGTH:
        raise InvalidInput(
            "password", "***", f"is too long: at most {MAX_PASSWORD_LENGTH} characters"
        )
    if any(char.isspace() for char in password):
        raise InvalidInput("password", "***", "contains a blank: session strings cannot carry it")


async def login(
    engine: Engine,
    actor: Actor,
    make_token: TokenFactory,
    name: str,
    token: str,
    valid_s: int,
    egid: int = -1,
) -> str:
    """A token that stands for the password: `valid_s` seconds, -1 for ever, 0 revokes it
    (empty: all).

    An empty token is made up here. Returns the token, the only time it is seen.
    """
    user = named(engine.view, name)
    require(actor, Right.MANAGE, user)
    if valid_s == REVOKE:
        digest = token_digest(token) if token else None
        await engine.submit(
            RevokeToken(cause=engine.new_cause(), actor=actor, user_id=user.id, sha256=digest)
        )
        return token
    if not NEVER <= valid_s <= MAX_TOKEN_TIME_S:
        raise InvalidInput("valid", str(valid_s), "is not -1 (for ever), 0 (revoke) or seconds")
    fresh = token or make_token()
    command = AddToken(
        cause=engine.new_cause(),
        actor=actor,
        user_id=user.id,
        sha256=token_digest(check_token(fresh)),
        expires_at=None if valid_s == NEVER else engine.clock.now() + valid_s,
        egid=None if egid < 0 else egid,
    )
    await engine.submit(command)
    return fresh


def check_token(token: str) -> str:
    """A token that the caller chose must not be guessable."""
    if not 16 <= len(token) <= 256 or any(char.isspace() for char in token):
        raise InvalidInput("token", "***", "is not 16 to 256 characters without blanks")
    return token


def named(view: View, name: str) -> User:
    found = view.by_name(Kind.USER, name)
    if found is None:
        raise NotFound(f"Error getting user {name!r}.", object_kind="USER")
    return view.users[found]


def own(user_id: int, actor: Actor) -> int:
    return actor.uid if user_id == CALLER else user_id


def get(view: View, actor: Actor, user_id: int) -> User:
    """-1 is the caller."""
    user = pick(view.users, Kind.USER, own(user_id, actor))
    require(actor, Right.USE, user)
    return user


def listing(view: View, actor: Actor) -> list[User]:
    return select(view.users, actor)


def get_group(view: View, actor: Actor, group_id: int) -> Group:
    """-1 is the caller's primary group."""
    group = pick(view.groups, Kind.GROUP, actor.gids[0] if group_id == CALLER else group_id)
    require(actor, Right.USE, group)
    return group


def list_groups(view: View, actor: Actor) -> list[Group]:
    return select(view.groups, actor)
