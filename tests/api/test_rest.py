"""The JSON API: every route, what it refuses and how, its description, the stream, the page."""

import base64
import json
import re
from typing import Any

import pytest
from msgspec.structs import replace

from orrery.api.http import FILES, build
from orrery.api.openapi import describe
from orrery.api.rest import ROUTES
from orrery.api.route import STATUS
from orrery.core.errors import Reason
from orrery.core.messages import Record
from orrery.core.model.host import Measured
from orrery.core.model.kinds import Kind
from orrery.core.status import VmStatus
from tests.api.conftest import Answer, Web
from tests.api.world import ADMIN, ANNA, BEN, NOW, World

pytestmark = pytest.mark.anyio


def basic(session: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(session.encode()).decode()}


AS_ADMIN = basic("oneadmin:secret")
AS_ANNA = basic("anna:anna-secret")
JSON = {"content-type": "application/json"}


async def ask(
    web: Web,
    method: str,
    path: str,
    body: Any = None,
    as_: dict[str, str] = AS_ADMIN,
    query: str = "",
) -> Answer:
    data = b"" if body is None else json.dumps(body).encode()
    return await web.call(method, f"/api/v1{path}", data, {**as_, **JSON}, query)


async def get(web: Web, path: str, as_: dict[str, str] = AS_ADMIN, query: str = "") -> Any:
    answer = await ask(web, "GET", path, as_=as_, query=query)
    assert answer.status == 200, answer.body
    return answer.json()


# --- objects --------------------------------------------------------------------------------------


async def test_a_vm_from_creation_to_termination(world: World, web: Web) -> None:
    template = {
        "NAME": "web",
        "CPU": 0.5,
        "MEMORY": "256",
        "DISK": [{"IMAGE_ID": 0}],
        "FEATURES": {"ACPI": True},
    }
    created = await ask(web, "POST", "/vms", {"template": template, "hold": True})
    assert (created.status, created.json()) == (201, {"id": 0})
    vm = await get(web, "/vms/0")
    assert (vm["name"], vm["status"], vm["cpu"], vm["memory_mib"]) == ("web", "HOLD", 0.5, 256)
    assert vm["disks"][0]["image"] == {"id": 0, "name": "debian"}
    assert vm["template"]["FEATURES"] == {"ACPI": "YES"}
    await ask(web, "POST", "/vms/0/actions", {"action": "release"})
    await ask(web, "POST", "/vms/0/actions", {"action": "deploy", "host_id": 1})
    vm = await get(web, "/vms/0")
    assert (vm["status"], vm["host"], vm["owner"]) == (
        "PROLOG",
        {"id": 1, "name": "node1"},
        {"id": 0, "name": "oneadmin"},
    )
    recovered = await ask(
        web, "POST", "/vms/0/actions", {"action": "recover", "operation": "delete"}
    )
    assert recovered.status == 200
    assert world.state.vms[0].status is VmStatus.CLEANUP_DELETE


async def test_a_vm_is_changed_and_terminated(world: World, web: Web) -> None:
    world.running_vm(7, ANNA)
    change = {"name": "other", "template": {"NOTE": "x"}, "permissions": "640"}
    assert (await ask(web, "PATCH", "/vms/7", change, AS_ANNA)).status == 200
    vm = await get(web, "/vms/7", AS_ANNA)
    assert (vm["name"], vm["permissions"], vm["user_template"]["NOTE"]) == ("other", "640", "x")
    assert vm["user_template"]["COLOUR"] == "a<b & c"
    assert (await ask(web, "DELETE", "/vms/7", as_=AS_ANNA, query="hard=true")).status == 200
    assert world.state.vms[7].hard


async def test_vms_from_stored_templates(web: Web) -> None:
    text = {"template": 'NAME="small" CPU="1" MEMORY="64"'}
    assert (await ask(web, "POST", "/templates", text)).json() == {"id": 0}
    body = {"template_id": 0, "name": "one", "extra": {"MEMORY": 128}}
    assert (await ask(web, "POST", "/vms", body)).json() == {"id": 0}
    vm = await get(web, "/vms/0")
    assert (vm["name"], vm["memory_mib"], vm["template_id"]) == ("one", 128, 0)


async def test_lists_are_filtered_searched_and_cut(world: World, web: Web) -> None:
    for vm_id in range(5):
        world.running_vm(vm_id, ANNA if vm_id % 2 else ADMIN)

    async def ids(query: str) -> list[int]:
        return [vm["id"] for vm in await get(web, "/vms", query=query)]

    assert await ids("") == [0, 1, 2, 3, 4]
    assert await ids("owner=mine") == [0, 2, 4]
    assert await ids("owner=2") == [1, 3]
    assert await ids("offset=1&limit=2") == [1, 2]
    assert await ids("offset=1&limit=1") == [1]
    assert await ids("search=NAME%3Dvm3") == [3]
    assert await ids("state=8") == []
    assert await ids("state=any") == [0, 1, 2, 3, 4]


async def test_numbers_follow_their_objects(world: World, web: Web) -> None:
    world.running_vm(7, ADMIN)
    world.numbers.vms[7] = {"CPU": 12.5}
    world.numbers.hosts[1] = {"USED_CPU": 3.0}
    assert (await get(web, "/vms"))[0]["usage"] == {"CPU": 12.5}
    host = await get(web, "/hosts/1")
    assert host["usage"] == {"USED_CPU": 3.0}
    assert host["reserved_by_vms"] == {"cpu": 0.5, "memory_mib": 256, "disk_mib": 2048}
    assert host["offered"]["cpu"] == 8.0


async def test_a_host_says_what_leases_were_measured_to_take(world: World, web: Web) -> None:
    boot = Measured(kind="boot", mean=4.0, variance=0.25, count=3)
    suspend = Measured(kind="suspend", mean=0.02, variance=0.0, count=1)
    world.put(replace(world.state.hosts[1], measured=(boot, suspend)))
    assert (await get(web, "/hosts/1"))["lease_operations"] == [
        {"kind": "boot", "mean": 4.0, "deviation": 0.5, "unit": "s", "count": 3},
        {"kind": "suspend", "mean": 0.02, "deviation": 0.0, "unit": "s/MiB", "count": 1},
    ]


async def test_every_other_kind_can_be_made_shown_listed_and_deleted(web: Web) -> None:
    ar = {"TYPE": "IP4", "IP": "10.0.0.1", "SIZE": 8}
    bodies: dict[str, Any] = {
        "/hosts": {"name": "node9", "driver": "sim"},
        "/clusters": {"name": "rack"},
        "/datastores": {"template": {"NAME": "ds", "TYPE": "IMAGE_DS", "TM_MAD": "sim"}},
        "/networks": {"template": {"NAME": "lan", "VN_MAD": "bridge", "AR": [ar]}},
        "/security-groups": {"template": {"NAME": "sg"}},
        "/templates": {"template": {"NAME": "t", "CPU": 1}},
        "/users": {"name": "carl", "password": "pw"},
    }
    for path, body in bodies.items():
        created = await ask(web, "POST", path, body)
        assert created.status == 201, (path, created.body)
        oid = created.json()["id"]
        assert (await get(web, f"{path}/{oid}"))["id"] == oid
        assert oid in [found["id"] for found in await get(web, path)]
        assert (await ask(web, "PATCH", f"{path}/{oid}", {"template": {"A": "1"}})).status == 200
        assert (await ask(web, "DELETE", f"{path}/{oid}")).status == 200
        assert (await ask(web, "GET", f"{path}/{oid}")).status == 404


async def test_images_and_hosts_have_actions(world: World, web: Web) -> None:
    for action in ("disable", "enable", "persistent", "nonpersistent"):
        assert (await ask(web, "POST", "/images/0/actions", {"action": action})).status == 200
    assert (await get(web, "/images/0"))["status"] == "READY"
    assert (await get(web, "/images"))[0]["datastore"] == {"id": 1, "name": "default"}
    assert (await ask(web, "POST", "/hosts/1/actions", {"action": "offline"})).status == 200
    assert (await get(web, "/hosts/1"))["status"] == "OFFLINE"
    body = {"template": {"NAME": "d", "TYPE": "DATABLOCK", "SIZE": 10}}
    assert (await ask(web, "POST", "/images", body)).status == 201
    assert [group["name"] for group in await get(web, "/groups")] == ["oneadmin", "users"]


# --- log in ---------------------------------------------------------------------------------------


async def test_a_token_is_made_used_and_ended(web: Web) -> None:
    token = (await ask(web, "POST", "/me/tokens", {"valid_s": 60}, AS_ANNA)).json()["token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert (await get(web, "/me", bearer))["name"] == "anna"
    assert (await ask(web, "POST", "/me/tokens/end", {"token": token}, bearer)).status == 200
    assert (await ask(web, "GET", "/me", as_=bearer)).status == 401


@pytest.mark.parametrize(
    "value",
    ["", "Basic", "Basic !", "Basic YW5uYQ==", "Bearer", "Bearer x", "Bearer anna:x", "Digest x"],
)
async def test_bad_credentials_are_refused_without_a_browsers_log_in_box(
    web: Web, value: str
) -> None:
    answer = await ask(web, "GET", "/vms", as_={"authorization": value})
    assert answer.status == 401
    assert answer.json()["error"]["reason"] == "not-authenticated"
    assert "www-authenticate" not in answer.headers


async def test_a_password_can_be_changed_by_its_owner(web: Web) -> None:
    assert (await ask(web, "PATCH", "/users/2", {"password": "new"}, AS_ANNA)).status == 200
    assert (await ask(web, "GET", "/me", as_=AS_ANNA)).status == 401
    assert (await ask(web, "GET", "/me", as_=basic("anna:new"))).status == 200


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/vms/99", None, 404, None),
        ("GET", "/vms/x", None, 404, None),
        ("GET", "/vms/" + "9" * 5000, None, 404, None),
        ("GET", "/vms?owner=" + "9" * 5000, None, 400, "owner"),
        ("GET", "/vms?owner=%C2%B2", None, 400, "owner"),
        ("GET", "/vms?state=%C2%B2", None, 400, "state"),
        ("POST", "/vms", {}, 400, "template"),
        ("POST", "/vms", {"template": {"CPU": 1}}, 400, "MEMORY"),
        ("POST", "/vms", {"template": {"CPU": None}}, 400, "CPU"),
        ("POST", "/vms", {"tmplate": ""}, 400, "body"),
        ("POST", "/vms", {"template": "", "hold": "yes"}, 400, "hold"),
        ("POST", "/vms", [1], 400, "body"),
        ("POST", "/vms/7/actions", {"action": "hold"}, 409, None),
        ("POST", "/vms/7/actions", {"action": "deploy"}, 400, "host_id"),
        ("POST", "/vms/7/actions", {"action": "recover", "operation": "x"}, 400, "operation"),
        ("PATCH", "/vms/7", {"permissions": "9"}, 400, "permissions"),
        ("PATCH", "/vms/7", {"password": "x"}, 400, "password"),
        ("GET", "/vms?limit=0", None, 400, "limit"),
        ("GET", "/vms?limit=x", None, 400, "limit"),
        ("GET", "/vms?offset=-1", None, 400, "offset"),
        ("GET", "/vms?owner=me", None, 400, "owner"),
        ("GET", "/vms?state=on", None, 400, "state"),
        ("GET", "/vms?filter=x", None, 400, "filter"),
        ("POST", "/hosts", {"name": "node1", "driver": "sim"}, 409, None),
        ("POST", "/hosts/1/actions", {"action": "explode"}, 400, "action"),
        ("POST", "/images/0/actions", {"action": "explode"}, 400, "action"),
        ("POST", "/me/tokens", {"valid_s": 0}, 400, "valid_s"),
        ("DELETE", "/users/0", None, 409, None),
    ],
)
async def test_refusals_name_reason_field_and_remedy(
    world: World, web: Web, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    world.running_vm(7, ADMIN)
    path, _, query = path.partition("?")
    answer = await ask(web, method, path, body, query=query)
    assert answer.status == status, answer.body
    error = answer.json()["error"]
    assert error.get("field") == field
    assert error["message"]
    assert ("remedy" in error) == (field is not None)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/vms/7", None),
        ("PATCH", "/vms/7", {"name": "x"}),
        ("DELETE", "/vms/7", None),
        ("POST", "/hosts", {"name": "x", "driver": "sim"}),
        ("GET", "/users/3", None),
        ("PATCH", "/users/0", {"password": "hacked"}),
        ("PATCH", "/users/2", {"name": "root"}),
        ("DELETE", "/images/0", None),
    ],
)
async def test_what_is_not_theirs_is_forbidden_to_users(
    world: World, web: Web, method: str, path: str, body: Any
) -> None:
    world.running_vm(7, BEN)
    answer = await ask(web, method, path, body, AS_ANNA)
    assert (answer.status, answer.json()["error"]["reason"]) == (403, "not-authorized")
    assert await get(web, "/vms", AS_ANNA) == []
    assert world.commands == []


async def test_bodies_must_be_json_and_say_so(web: Web) -> None:
    form = {**AS_ADMIN, "content-type": "text/plain"}
    answer = await web.call("POST", "/api/v1/vms", b'{"template": ""}', form)
    assert (answer.status, answer.json()["error"]["field"]) == (400, "content-type")
    for body in (b"{", b"\xff", b"[" * 5000):
        answer = await web.call("POST", "/api/v1/vms", body, {**AS_ADMIN, **JSON})
        assert answer.status == 400


async def test_a_body_over_the_limit_is_refused(world: World) -> None:
    web = Web(build(world.parts(body_limit=100)))
    assert (await ask(web, "POST", "/vms", {"template": "x" * 100})).status == 413


async def test_unknown_paths_and_methods(web: Web) -> None:
    assert (await ask(web, "GET", "/nothing")).status == 404
    assert (await ask(web, "PUT", "/vms")).status == 405


async def test_an_unexpected_error_is_an_answer_without_details(world: World) -> None:
    async def broken(command: object) -> int | None:
        raise ValueError("a secret detail")

    web = Web(build(world.parts(engine=replace(world.engine, submit=broken))))
    answer = await ask(web, "POST", "/vms", {"template": 'CPU="1" MEMORY="1"'})
    assert answer.status == 500
    assert b"secret detail" not in answer.body


def test_every_reason_has_a_status() -> None:
    assert set(STATUS) == set(Reason)


# --- description ----------------------------------------------------------------------------------


async def test_the_description_holds_every_route_and_only_existing_schemas(web: Web) -> None:
    answer = await web.call("GET", "/api/v1/openapi.json")
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    for name in re.findall(r"#/components/schemas/(\w+)", answer.body.decode()):
        assert name in document["components"]["schemas"]


def test_operations_have_names_of_their_own_and_a_summary() -> None:
    names = [route.operation for route in ROUTES]
    assert len(set(names)) == len(names)
    assert all(route.help for route in ROUTES)
    assert describe(ROUTES, "1")["info"]["version"] == "1"


# --- stream ---------------------------------------------------------------------------------------


def record(seq: int, vm_id: int) -> Record:
    return Record(
        kind="vm.running",
        subject_kind=Kind.VM,
        subject_id=vm_id,
        at=NOW,
        cause="c",
        body={"text": "two\nlines"},
        seq=seq,
    )


def events_of(answer: Answer) -> list[Any]:
    lines = answer.body.decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def test_the_stream_shows_each_what_may_be_seen(world: World, web: Web) -> None:
    world.running_vm(6, ANNA)
    world.running_vm(7, BEN)
    world.feed.records = [record(1, 6), record(2, 7), record(3, 99), record(4, 6)]
    answer = await ask(web, "GET", "/events", as_=AS_ANNA)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [event["seq"] for event in events_of(answer)] == [1, 4]
    assert b"id: 4\n" in answer.body
    assert events_of(answer)[0]["subject"] == {"kind": "vm", "id": 6}
    everything = await ask(web, "GET", "/events")
    assert [event["seq"] for event in events_of(everything)] == [1, 2, 3, 4]


async def test_the_stream_goes_on_after_the_last_record_seen(world: World, web: Web) -> None:
    world.running_vm(6, ANNA)
    world.feed.records = [record(seq, 6) for seq in range(1, 6)]
    answer = await web.call("GET", "/api/v1/events", headers={**AS_ANNA, "last-event-id": "3"})
    assert [event["seq"] for event in events_of(answer)] == [4, 5]
    answer = await ask(web, "GET", "/events", as_=AS_ANNA, query="after=4")
    assert [event["seq"] for event in events_of(answer)] == [5]
    assert (await ask(web, "GET", "/events", query="after=x")).status == 400
    assert (await ask(web, "GET", "/events", as_={})).status == 401


# --- page, numbers, health ------------------------------------------------------------------------


async def test_the_page_loads_nothing_from_elsewhere(web: Web) -> None:
    page = await web.call("GET", "/")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    for link in re.findall(r'(?:src|href)="([^"]+)"', page.body.decode()):
        assert link in FILES or link == "/api/v1/openapi.json"
    assert not re.search(rb"<script(?![^>]*src=)|style=|\son\w+=", page.body)
    for path in FILES:
        assert (await web.call("GET", path)).status == 200
    for path in ("/web/../daemon.py", "/web/", "/web/nothing.js"):
        assert (await web.call("GET", path)).status == 404


async def test_metrics_and_health(world: World) -> None:
    web = Web(build(world.parts()))
    assert (await web.call("GET", "/metrics")).body == b"orrery_up 1\n"
    assert (await web.call("GET", "/healthz")).status == 200
    ill = Web(build(world.parts(is_healthy=lambda: False)))
    assert (await ill.call("GET", "/healthz")).status == 503
