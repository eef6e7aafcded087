"""The application in front of an engine that carries out leases, both under virtual time: what
tests of leases in the interfaces share.
"""

import json
import xmlrpc.client
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, fromstring

from orrery.api.http import Parts, build
from orrery.core.messages import ENGINE, Actor, AllocateUser
from orrery.service import users
from orrery.service.engine import Engine
from orrery.service.sessions import Sessions
from tests.api.conftest import Answer, Web
from tests.api.world import Feed, Kept, Numbers, cheap_hasher
from tests.engine.lease_cloud import LeaseCloud, in_lease_cloud

T = TypeVar("T")

JSON = {"content-type": "application/json"}
TOKEN = "token-of-the-test"


class LeaseWeb:
    """A user in front of a site: one host of 8 cores and 8 GiB."""

    def __init__(self, cloud: LeaseCloud) -> None:
        self.cloud = cloud
        self.services: Engine = cloud.services
        sessions = Sessions(cloud.engine.view, cloud.clock, b"k" * 32, cheap_hasher())
        parts = Parts(
            engine=self.services,
            sessions=sessions,
            monitoring=Numbers(),
            events=Feed(),
            journal=Kept(),
            make_token=lambda: TOKEN,
            metrics=lambda: b"",
            is_healthy=lambda: True,
            endpoint="http://localhost:2633/RPC2",
            version="0.1.0",
        )
        self.web = Web(build(parts))
        self.name = "oneadmin"
        self._token = TOKEN

    async def log_in(self) -> None:
        made = await users.login(self.services, ENGINE, lambda: TOKEN, "oneadmin", "", -1)
        assert made == TOKEN

    async def become(self, name: str) -> Actor:
        """Go on as a new user."""
        command = AllocateUser(
            cause="t", actor=ENGINE, name=name, password_hash="x", auth_driver="core"
        )
        uid = await self.cloud.ask(command)
        actor, token = Actor(uid, (1,)), f"token-of-the-user-{name}"
        await users.login(self.services, actor, lambda: token, name, "", -1)
        self.name, self._token = name, token
        return actor

    async def call(self, method: str, path: str, body: object = None, query: str = "") -> Answer:
        headers = {"authorization": f"Bearer {self._token}", **(JSON if body is not None else {})}
        data = b"" if body is None else json.dumps(body).encode()
        return await self.web.call(method, f"/api/v1{path}", data, headers, query)

    async def post(self, path: str, body: object, status: int = 200) -> Any:
        answer = await self.call("POST", path, body)
        assert answer.status == status, answer.body
        return answer.json()

    async def get(self, path: str, query: str = "") -> Any:
        answer = await self.call("GET", path, query=query)
        assert answer.status == 200, answer.body
        return answer.json()

    async def rpc(self, method: str, *parameters: Any) -> list[Any]:
        """OpenNebula's array."""
        session = f"{self.name}:{self._token}"
        body = xmlrpc.client.dumps((session, *parameters), f"one.{method}").encode()
        answer = await self.web.call("POST", "/RPC2", body)
        (found,), _ = xmlrpc.client.loads(answer.body)
        assert isinstance(found, list)
        return found

    async def ok(self, method: str, *parameters: Any) -> Any:
        success, value, *_ = await self.rpc(method, *parameters)
        assert success, value
        return value

    async def xml(self, method: str, *parameters: Any) -> Element:
        return fromstring(await self.ok(method, *parameters))


def in_lease_web(home: Path, story: Callable[[LeaseWeb], Awaitable[T]]) -> T:
    """Run a story in front of a furnished cloud of one host."""

    async def main(cloud: LeaseCloud) -> T:
        web = LeaseWeb(cloud)
        await web.log_in()
        return await story(web)

    return in_lease_cloud(home, main)
