"""Leases in both interfaces, in front of an engine that plans them."""

from pathlib import Path
from typing import Any

import pytest

from orrery.api.http import api_of
from orrery.core.model.lease import LeaseStatus
from tests.api.lease_web import LeaseWeb, in_lease_web
from tests.api.world import World
from tests.engine.lease_cloud import HOUR

S = LeaseStatus
ALL = -2


def text(terms: str, rest: str = 'CPU="4" MEMORY="2048"') -> str:
    return f"LEASE=[{terms}] {rest}"


def body(**more: Any) -> dict[str, Any]:
    return {"nodes": 2, "cpu": 4, "memory": "2GiB", "duration": "1h", **more}


# --- XML-RPC --------------------------------------------------------------------------------------


def test_a_request_is_answered_with_a_verdict_and_shown_as_a_lease(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        verdict = await web.xml(
            "lease.request", text('NODES="2", START="+1h", DURATION="2h"', 'NAME="class" CPU="4" '
            'MEMORY="2048" COLOUR="red"')
        )  # fmt: skip
        assert verdict.tag == "VERDICT"
        assert verdict.findtext("ACCEPTED") == "YES"
        lease_id = int(verdict.findtext("LEASE_ID", ""))
        lease = await web.xml("lease.info", lease_id)
        assert (lease.findtext("NAME"), lease.findtext("UNAME")) == ("class", "oneadmin")
        assert (lease.findtext("KIND"), lease.findtext("STATE_STR")) == ("reservation", "SCHEDULED")
        assert lease.findtext("STATE") == "3"
        assert lease.findtext("TERMS/NODES") == "2"
        assert lease.findtext("TERMS/NODE_SET/CPU") == "4"
        assert lease.findtext("TERMS/NODE_SET/MEMORY") == "2048"
        assert lease.findtext("TERMS/DURATION") == "7200"
        assert lease.findtext("START") == lease.findtext("TERMS/START") == verdict.findtext("START")
        assert lease.findtext("USER_TEMPLATE/COLOUR") == "red"
        assert len(lease.findall("RUNS/RUN")) == 1
        assert len(lease.findall("RUNS/RUN/HOSTS/ID")) == 2

    in_lease_web(tmp_path, story)


def test_a_refused_request_has_reason_and_alternatives(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        await web.ok("lease.allocate", text('NODES="2", START="+1h", DURATION="2h"'))
        wanted = text('NODES="2", START="+1h", DURATION="1h"')
        verdict = await web.xml("lease.request", wanted)
        assert verdict.findtext("ACCEPTED") == "NO"
        assert verdict.findtext("STATE_STR") == "REJECTED"
        assert verdict.findtext("REASON")
        later = verdict.find("ALTERNATIVES/ALTERNATIVE")
        assert later is not None
        assert later.findtext("WHAT") == "later"
        success, message, code, lease_id = (await web.rpc("lease.allocate", wanted))[:4]
        assert (success, code) == (False, 0x4000)
        assert "is refused" in message
        assert lease_id in web.cloud.engine.state.leases

    in_lease_web(tmp_path, story)


def test_nodes_may_differ_and_sizes_come_from_the_template(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        sets = 'LEASE_NODES=[COUNT="2", CPU="2"] LEASE_NODES=[COUNT="1", MEMORY="4G"]'
        verdict = await web.xml(
            "lease.request", text('DURATION="1h"', f'CPU="1" MEMORY="512" {sets}')
        )
        lease = web.cloud.lease(int(verdict.findtext("LEASE_ID", "")))
        found = [(n.count, n.capacity.cpu_pct, n.capacity.memory_mib) for n in lease.terms.nodes]
        assert found == [(2, 200, 512), (1, 100, 4096)]

    in_lease_web(tmp_path, story)


def test_a_stored_template_gives_sizes_and_image(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        stored = 'NAME="small" CPU="0.5" MEMORY="256" DISK=[IMAGE="os"]'
        template_id = await web.ok("template.allocate", stored)
        lease_id = await web.ok("lease.allocate", text('NODES="3", DURATION="1h"', ""), template_id)
        lease = web.cloud.lease(lease_id)
        (nodes,) = lease.terms.nodes
        assert (nodes.count, nodes.capacity.cpu_pct, nodes.capacity.memory_mib) == (3, 50, 256)
        assert lease.terms.image == "os"
        shown = await web.xml("lease.info", lease_id)
        assert shown.findtext("TEMPLATE/TEMPLATE_ID") == str(template_id)

    in_lease_web(tmp_path, story)


def test_an_image_takes_the_place_of_the_stored_templates(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        stored = 'NAME="small" CPU="0.5" MEMORY="256" DISK=[TYPE="fs", SIZE="10"]'
        template_id = await web.ok("template.allocate", stored)
        asked = {"duration": "1h", "template_id": template_id, "image": "os"}
        made = await web.post("/leases", asked, 201)
        lease = web.cloud.lease(made["id"])
        assert lease.template.vectors("DISK") == ({"IMAGE": "os"},)
        assert lease.terms.image == "os"

    in_lease_web(tmp_path, story)


@pytest.mark.parametrize(
    ("image", "disk"),
    [
        ("os", {"IMAGE": "os"}),
        ("0", {"IMAGE_ID": "0"}),
        ("oneadmin[os]", {"IMAGE": "os", "IMAGE_UNAME": "oneadmin"}),
    ],
)
def test_an_image_becomes_the_disk_of_each_node(
    tmp_path: Path, image: str, disk: dict[str, str]
) -> None:
    async def story(web: LeaseWeb) -> None:
        made = await web.post("/leases", body(image=image), 201)
        lease = web.cloud.lease(made["id"])
        assert lease.template.vectors("DISK") == (disk,)
        assert (lease.terms.image, lease.terms.image_mib) == ("os", 100)

    in_lease_web(tmp_path, story)


def test_when_asks_without_leaving_a_trace(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        verdict = await web.xml("lease.when", text('NODES="2", START="+1h", DURATION="1h"'))
        assert (verdict.findtext("LEASE_ID"), verdict.findtext("ACCEPTED")) == ("-1", "YES")
        assert int(verdict.findtext("START", "")) == pytest.approx(web.cloud.now + HOUR, abs=2)
        assert web.cloud.engine.state.leases == {}

    in_lease_web(tmp_path, story)


def test_a_lease_is_changed_and_cancelled(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        lease_id = await web.ok("lease.allocate", text('START="+1h", DURATION="1h"'))
        start = int(web.cloud.lease(lease_id).terms.start or 0)
        moved = await web.xml("lease.move", lease_id, start + 600)
        assert (moved.findtext("ACCEPTED"), moved.findtext("START")) == ("YES", str(start + 600))
        longer = await web.xml("lease.extend", lease_id, 600)
        assert longer.findtext("END") == str(start + 600 + 4200)
        shorter = await web.xml("lease.shorten", lease_id, 1200)
        assert shorter.findtext("END") == str(start + 600 + 3000)
        await web.ok("lease.top", lease_id, 3)
        assert web.cloud.lease(lease_id).terms.priority == 3
        assert await web.ok("lease.cancel", lease_id, "no class today") == lease_id
        cancelled = await web.cloud.lease_reaches(lease_id, S.CANCELLED)
        assert cancelled.reason is not None and "no class today" in cancelled.reason
        assert await web.ok("lease.delete", lease_id) == lease_id
        assert web.cloud.engine.state.leases == {}

    in_lease_web(tmp_path, story)


def test_an_offer_is_held_and_taken(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        await web.ok("lease.allocate", text('NODES="2", START="+1h", DURATION="2h"'))
        verdict = await web.xml(
            "lease.request", text('NODES="2", START="+1h", DURATION="1h"'), -1, True
        )
        assert (verdict.findtext("ACCEPTED"), verdict.findtext("STATE_STR")) == ("NO", "OFFERED")
        assert int(verdict.findtext("OFFER_EXPIRES", "")) > web.cloud.now
        assert verdict.findtext("TERMS/NODES") == "2"
        lease_id = int(verdict.findtext("LEASE_ID", ""))
        shown = await web.xml("lease.info", lease_id)
        assert shown.findtext("ASKED/START") != shown.findtext("TERMS/START")
        taken = await web.xml("lease.accept", lease_id)
        assert (taken.findtext("ACCEPTED"), taken.findtext("START")) == (
            "YES",
            verdict.findtext("START"),
        )

    in_lease_web(tmp_path, story)


def test_recurring_leases_come_evenly_or_at_given_times(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        terms = 'START="+1h", DURATION="10m", REPEAT="3", EVERY="1d"'
        verdict = await web.xml("lease.request", text(terms))
        assert [one.text for one in verdict.findall("SERIES/ID")] == ["0", "1", "2"]
        first = int(web.cloud.now) + 7200
        starts = ",".join(str(first + more) for more in (90_000, 300_000))
        verdict = await web.xml(
            "lease.request", text(f'START="{first}", DURATION="10m", STARTS="{starts}"')
        )
        made = [web.cloud.lease(int(one.text or "")) for one in verdict.findall("SERIES/ID")]
        assert [lease.terms.start for lease in made] == [first, first + 90_000, first + 300_000]
        assert {lease.series for lease in made[1:]} == {made[0].id}

    in_lease_web(tmp_path, story)


def test_owner_permissions_name_and_template_are_changed_as_of_others(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        lease_id = await web.ok("lease.allocate", text('DURATION="1h"'))
        await web.ok("lease.rename", lease_id, "seminar")
        await web.ok("lease.update", lease_id, 'ROOM="12"', 1)
        await web.ok("lease.chmod", lease_id, *(1, 1, 0, 1, 0, 0, 0, 0, 0))
        await web.ok("lease.chown", lease_id, -1, 1)
        shown = await web.xml("lease.info", lease_id)
        assert shown.findtext("NAME") == "seminar"
        assert shown.findtext("USER_TEMPLATE/ROOM") == "12"
        assert shown.findtext("PERMISSIONS/GROUP_U") == "1"
        assert shown.findtext("GNAME") == "users"

    in_lease_web(tmp_path, story)


def test_pools_show_what_the_status_asks_for(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        first = await web.ok("lease.allocate", text('START="+1h", DURATION="1h"'))
        second = await web.ok("lease.allocate", text('START="+1h", DURATION="1h"'))
        await web.ok("lease.cancel", first)

        pool = await web.xml("leasepool.info", ALL)
        assert [one.findtext("ID") for one in pool.findall("LEASE")] == [str(second)]
        pool = await web.xml("leasepool.info", ALL, -1, -1, -2)
        assert [one.findtext("ID") for one in pool.findall("LEASE")] == [str(first), str(second)]
        pool = await web.xml("leasepool.info", ALL, -1, -1, int(S.CANCELLED))
        assert [one.findtext("ID") for one in pool.findall("LEASE")] == [str(first)]

    in_lease_web(tmp_path, story)


def test_the_calendar_shows_who_holds_what_to_those_who_may_see_it(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        lease_id = await web.ok("lease.allocate", text('NODES="2", START="+1h", DURATION="1h"'))
        calendar = await web.xml("leasepool.calendar")
        assert len(calendar.findall("HOST")) == 1
        assert [one.findtext("ID") for one in calendar.findall("LEASE")] == [str(lease_id)]
        held = [slot for slot in calendar.findall("SLOT") if slot.findtext("KIND") == "vm"]
        assert [(s.findtext("LEASE_ID"), s.findtext("CPU")) for s in held] == [(str(lease_id), "8")]
        await web.become("anna")
        calendar = await web.xml("leasepool.calendar")
        assert calendar.findall("LEASE") == []
        assert {slot.findtext("LEASE_ID") for slot in calendar.findall("SLOT")} == {"-1"}

    in_lease_web(tmp_path, story)


def test_usage_is_by_user(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        lease_id = await web.ok("lease.allocate", text('NODES="2", DURATION="10m"'))
        await web.cloud.lease_reaches(lease_id, S.DONE)
        usage = await web.xml("leasepool.usage")
        (user,) = usage.findall("USER")
        assert (user.findtext("NAME"), user.findtext("DONE")) == ("oneadmin", "1")
        assert int(user.findtext("NODE_SECONDS", "")) == pytest.approx(1200, abs=5)

    in_lease_web(tmp_path, story)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ('CPU="1" MEMORY="64"', "LEASE"),
        (text('NODES="2"'), "duration"),
        (text('NODES="two", DURATION="1h"'), "nodes"),
        (text('DURATION="a while"'), "duration"),
        (text('DURATION="1h", START="whenever"'), "start"),
        (text('DURATION="1h", COLOUR="red"'), "colour"),
        (text('DURATION="1h"', ""), "memory"),
        (text('DURATION="1h", PREEMPTIBLE="perhaps"'), "preemptible"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wanted: str, words: str) -> None:
    async def story(web: LeaseWeb) -> None:
        success, message, *_ = await web.rpc("lease.request", wanted)
        assert not success
        assert words in message
        assert web.cloud.engine.state.leases == {}

    in_lease_web(tmp_path, story)


def test_a_pool_answer_is_made_once_for_each_lease(world: World) -> None:
    documents = api_of(world.parts()).documents
    assert documents.lease_pool([]) == [b"&lt;LEASE_POOL&gt;", b"&lt;/LEASE_POOL&gt;"]


# --- JSON -----------------------------------------------------------------------------------------


def test_json_request_action_and_end(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        verdict = await web.post("/leases", body(name="class", start="+1h", priority=2), 201)
        assert (verdict["accepted"], verdict["status"]) == (True, "SCHEDULED")
        path = f"/leases/{verdict['id']}"
        shown = await web.get(path)
        assert (shown["kind"], shown["terms"]["node_count"]) == ("reservation", 2)
        assert shown["terms"]["nodes"][0]["each"] == {"cpu": 4.0, "memory_mib": 2048, "disk_mib": 0}
        assert shown["start_at"] == verdict["start_at"]
        assert [len(run["hosts"]) for run in shown["runs"]] == [2]
        longer = await web.post(f"{path}/actions", {"action": "extend", "seconds": "30m"})
        assert longer["end_at"] == verdict["end_at"] + 1800
        start = verdict["start_at"] + 600
        moved = await web.post(f"{path}/actions", {"action": "move", "start": start})
        assert moved["start_at"] == start
        shorter = await web.post(f"{path}/actions", {"action": "shorten", "seconds": 1800})
        assert shorter["end_at"] == start + HOUR
        await web.post(f"{path}/actions", {"action": "top", "priority": 5})
        assert (await web.call("PATCH", path, {"name": "seminar"})).status == 200
        assert (await web.call("DELETE", path)).status == 200
        await web.cloud.lease_reaches(verdict["id"], S.CANCELLED)
        assert (await web.get(path))["name"] == "seminar"
        assert (await web.call("DELETE", path, query="record=true")).status == 200
        assert (await web.call("GET", path)).status == 404

    in_lease_web(tmp_path, story)


def test_json_lists_have_filters_and_pages(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        for number in range(3):
            start = f"+{2 * number + 1}h"
            await web.post("/leases", body(name=f"class-{number}", start=start), 201)
        await web.post("/leases", body(name="batch"), 201)

        async def names(query: str = "") -> list[str]:
            return [lease["name"] for lease in await web.get("/leases", query)]

        assert len(await names()) == 4
        assert await names("kind=best-effort") == ["batch"]
        assert await names("search=CLASS&offset=1&limit=1") == ["class-1"]
        assert len(await names("status=scheduled")) >= 3
        await web.post("/leases/1/actions", {"action": "cancel", "reason": "none"})
        assert "class-1" not in await names()
        assert "class-1" in await names("status=any")
        assert (await web.call("GET", "/leases", query="status=lost")).status == 400

    in_lease_web(tmp_path, story)


def test_json_when_and_refusal_with_alternatives(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        start = int(web.cloud.now) + 7200
        await web.post("/leases", body(start=start, duration=7200), 201)
        asked = await web.post("/leases/when", body(start=start))
        assert (asked["accepted"], asked["id"]) == (False, None)
        assert asked["alternatives"][0]["what"] == "later"
        assert asked["alternatives"][0]["start_at"] >= start + 7200
        offered = await web.post("/leases", body(start=start, hold_offer=True), 201)
        assert offered["status"] == "OFFERED"
        assert offered["terms"]["start_at"] == offered["start_at"]
        taken = await web.post(f"/leases/{offered['id']}/actions", {"action": "accept"})
        assert taken["accepted"] is True

    in_lease_web(tmp_path, story)


def test_json_calendar_and_usage(tmp_path: Path) -> None:
    async def story(web: LeaseWeb) -> None:
        made = await web.post("/leases", body(start="+1h"), 201)
        calendar = await web.get("/leases/calendar", f"from={web.cloud.now}")
        assert calendar["until"] == calendar["since"] + 86_400
        assert {slot["lease_id"] for slot in calendar["slots"]} == {made["id"]}
        assert calendar["leases"][0]["kind"] == "reservation"
        assert (await web.get("/leases/usage"))[0]["user"]["name"] == "oneadmin"

    in_lease_web(tmp_path, story)


@pytest.mark.parametrize(
    ("path", "given", "field"),
    [
        ("/leases", {"nodes": 1}, "body"),
        ("/leases", body(start="whenever"), "start"),
        ("/leases", body(colour="red"), "body"),
        ("/leases/0/actions", {"action": "fly"}, "action"),
        ("/leases/0/actions", {"action": "extend"}, "seconds"),
        ("/leases/0/actions", {"action": "move"}, "start"),
        ("/leases/0/actions", {"action": "top"}, "priority"),
    ],
)
def test_json_names_the_field_that_is_wrong(
    tmp_path: Path, path: str, given: dict[str, Any], field: str
) -> None:
    async def story(web: LeaseWeb) -> None:
        await web.post("/leases", body(), 201)
        answer = await web.call("POST", path, given)
        assert answer.status == 400
        assert answer.json()["error"]["field"] == field

    in_lease_web(tmp_path, story)
