"""Who is calling: session strings checked against users and tokens, and remembered for a while.

Never stores, logs or returns a secret. The clock, the key and the hasher are arguments.
"""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from math import ceil
from typing import Protocol

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from msgspec import Struct

from orrery.core.errors import NotAuthenticated, Unavailable
from orrery.core.messages import Actor
from orrery.core.model.kinds import Kind
from orrery.core.model.users import LoginToken, User
from orrery.core.model.view import View
from orrery.ports.clock import Clock

REFUSAL = "User couldn't be authenticated, aborting call."
"""OpenNebula's text; the same whatever was wrong."""

SESSION_TTL_S = 900.0
MAX_SESSIONS = 20_000
MAX_SECRET_LENGTH = 1024

MISSES_ALLOWED = 10
MISSES_OF_PEER = 100
MISS_WINDOW_S = 60.0
MAX_MISSES_KEPT = 10_000

ANYBODY = ":"
"""In place of a user's name, which has no colon: whoever was tried from that address."""

HASHES_AT_ONCE = 2
MAX_WAITING = 200


log = structlog.get_logger(__name__)


class Hasher(Protocol):
    """argon2.PasswordHasher is one."""

    def hash(self, password: str | bytes) -> str: ...

    def verify(self, hash: str, password: str | bytes) -> bool: ...  # noqa: A002 - argon2's name


def default_hasher() -> PasswordHasher:
    """19 MiB, two passes: about 40 ms, as OWASP recommends for log-ins."""
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class Session(Struct, frozen=True):
    """A session string that was verified. It stands as long as the user object is the very same."""

    user: User
    actor: Actor
    until: float


class Misses(Struct):
    """Failed log-ins of one name from one address."""

    since: float
    count: int


class Sessions:
    """Turns a session string into an Actor. One hash per session string and 900 s, however many
    calls.
    """

    def __init__(self, view: View, clock: Clock, key: bytes, hasher: Hasher) -> None:
        self._view = view
        self._clock = clock
        self._key = key
        self._hasher = hasher
        self._known: OrderedDict[bytes, Session] = OrderedDict()
        self._misses: OrderedDict[tuple[str, str], Misses] = OrderedDict()
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0
        self._decoy: str | None = None

    async def authenticate(self, session: str, peer: str = "") -> Actor:
        """The caller behind `user:password` or `user:token`.

        Raises:
            NotAuthenticated: unknown user, wrong secret or disabled user; the text never says
            which.
            Unavailable: too many failed log-ins, or too many log-ins at once.
        """
        digest = self._digest(session)
        known = self._remembered(digest)
        if known is not None:
            return known.actor
        name, colon, secret = session.partition(":")
        if not colon or len(secret) > MAX_SECRET_LENGTH:
            raise NotAuthenticated(REFUSAL)
        self._refuse_after_misses(name, peer)
        found = await self._verify_in_turn(digest, name, secret)
        if found is None:
            self._count_miss(name, peer)
            raise NotAuthenticated(REFUSAL)
        return found.actor

    def remembered(self, session: str) -> Actor | None:
        """The caller behind a session string that was verified lately; never waits."""
        known = self._remembered(self._digest(session))
        return None if known is None else known.actor

    def _digest(self, session: str) -> bytes:
        return hmac.digest(self._key, session.encode("utf-8", "surrogatepass"), "sha256")

    async def authenticate_token(self, token: str, peer: str = "") -> Actor:
        """The caller behind a token alone, as HTTP's bearer header carries it (or `user:token`)."""
        if ":" in token:
            return await self.authenticate(token, peer)
        digest = hmac.digest(self._key, b"\0" + token.encode("utf-8", "surrogatepass"), "sha256")
        known = self._remembered(digest)
        if known is not None:
            return known.actor
        self._refuse_after_misses("", peer)
        now = self._clock.now()
        for user in self._view.users.values():
            found = matching_token(user, token, now)
            if found is not None:
                session = session_of(user, found, now)
                self._remember(digest, session)
                return session.actor
        self._count_miss("", peer)
        raise NotAuthenticated(REFUSAL)

    async def hash_password(self, password: str) -> str:
        """The argon2 string to store for a new password."""
        return await asyncio.to_thread(self._hasher.hash, password)

    # --- verified sessions

    def _remembered(self, digest: bytes) -> Session | None:
        known = self._known.get(digest)
        if known is None:
            return None
        if (
            known.until <= self._clock.now()
            or self._view.users.get(known.user.id) is not known.user
        ):
            del self._known[digest]
            return None
        return known

    def _remember(self, digest: bytes, found: Session) -> None:
        self._known[digest] = found
        while len(self._known) > MAX_SESSIONS:
            self._known.popitem(last=False)

    async def _verify_in_turn(self, digest: bytes, name: str, secret: str) -> Session | None:
        """Hashing is dear: a few at once, a bounded number waiting, and each string once."""
        if self._waiting >= MAX_WAITING:
            raise Unavailable("Too many log-ins at once: try again in a few seconds")
        self._waiting += 1
        try:
            async with self._turns:
                known = self._remembered(digest)
                if known is not None:
                    return known
                found = await self._verify(name, secret)
        finally:
            self._waiting -= 1
        if found is not None:
            self._remember(digest, found)
        return found

    async def _verify(self, name: str, secret: str) -> Session | None:
        """As slow for an unknown user, or one who may not log in, as for a wrong password."""
        now = self._clock.now()
        user = self._user_named(name)
        token = None if user is None else matching_token(user, secret, now)
        if user is not None and token is not None:
            return session_of(user, token, now)
        fits = await self._check_hash(user, secret)
        if user is None or not fits or not may_log_in(user):
            return None
        current = self._view.users.get(user.id)
        if (
            current is None
            or current.password_hash != user.password_hash
            or not may_log_in(current)
        ):
            return None
        return session_of(current, None, now)

    def _user_named(self, name: str) -> User | None:
        found = self._view.by_name(Kind.USER, name)
        return None if found is None else self._view.users.get(found)

    async def _check_hash(self, user: User | None, secret: str) -> bool:
        stored = await self._decoy_hash() if user is None else user.password_hash
        return await asyncio.to_thread(check_hash, self._hasher, stored, secret)

    async def _decoy_hash(self) -> str:
        """What unknown users are compared with: nobody's password."""
        if self._decoy is None:
            self._decoy = await self.hash_password(self._key.hex())
        return self._decoy

    # --- failed log-ins

    def _refuse_after_misses(self, name: str, peer: str) -> None:
        """Slows down who guesses one user's secret, and who tries many users from one address."""
        for key, allowed in ((name, peer), MISSES_ALLOWED), ((ANYBODY, peer), MISSES_OF_PEER):
            misses = self._misses.get(key)
            if misses is None or misses.count < allowed:
                continue
            wait = misses.since + MISS_WINDOW_S - self._clock.now()
            if wait > 0:
                raise Unavailable(f"Too many failed log-ins: try again in {ceil(wait)} s")
            del self._misses[key]

    def _count_miss(self, name: str, peer: str) -> None:
        log.warning("login.refused", user=name[:80], peer=peer)
        now = self._clock.now()
        for key in ((name, peer), (ANYBODY, peer)):
            misses = self._misses.get(key)
            if misses is None or misses.since + MISS_WINDOW_S <= now:
                misses = self._misses[key] = Misses(now, 0)
            misses.count += 1
        while len(self._misses) > MAX_MISSES_KEPT:
            self._misses.popitem(last=False)


def check_hash(hasher: Hasher, stored: str, secret: str) -> bool:
    """Blocking: runs in a thread."""
    try:
        return hasher.verify(stored, secret)
    except (Argon2Error, InvalidHashError, UnicodeError):
        return False


def matching_token(user: User, secret: str, now: float) -> LoginToken | None:
    if not may_log_in(user):
        return None
    digest = token_digest(secret)
    for token in user.tokens:
        live = token.expires_at is None or token.expires_at > now
        if hmac.compare_digest(token.sha256, digest) and live:
            return token
    return None


def token_digest(token: str) -> str:
    """What is stored of a token: it is random, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def may_log_in(user: User) -> bool:
    """Accounts of driver `public` are for trusted front ends only."""
    return user.enabled and user.auth_driver != "public"


def session_of(user: User, token: LoginToken | None, now: float) -> Session:
    until = now + SESSION_TTL_S
    gids = (user.gid, *(gid for gid in user.groups if gid != user.gid))
    if token is not None:
        if token.expires_at is not None:
            until = min(until, token.expires_at)
        if token.egid is not None:
            gids = (token.egid,)
    return Session(user, Actor(user.id, gids), until)
