"""The log and the console of a VM, and how far an image is."""

import json

import pytest

from orrery.core.messages import Record
from orrery.core.model.kinds import Kind
from tests.api.conftest import Web
from tests.api.test_rest import AS_ADMIN, AS_ANNA, get
from tests.api.world import ADMIN, ANNA, NOW, World

pytestmark = pytest.mark.anyio


async def test_the_log_has_a_line_for_each_record_with_its_cause(world: World, web: Web) -> None:
    world.running_vm(5, ANNA)
    for kind, body in (("vm.boot", {}), ("vm.running", {"error": "none"})):
        world.kept.records.append(
            Record(
                kind=kind, subject_kind=Kind.VM, subject_id=5, at=NOW, cause="abc", body={**body}
            )
        )
    text = (await get(web, "/vms/5/log", AS_ANNA))["text"]
    assert text.splitlines() == [
        "2026-09-21 14:13:20.000 boot [abc]",
        "2026-09-21 14:13:20.000 running error=none [abc]",
    ]


async def test_the_console_is_for_those_who_may_manage_the_vm(world: World, web: Web) -> None:
    world.running_vm(5, ADMIN, permissions=0o644)
    world.kept.consoles[5] = b"login: \xff"
    assert (await get(web, "/vms/5/console"))["text"] == "login: \ufffd"
    refused = await web.call("GET", "/api/v1/vms/5/console", b"", AS_ANNA)
    assert refused.status == 403
    assert (await web.call("GET", "/api/v1/vms/5/log", b"", AS_ANNA)).status == 200


@pytest.mark.parametrize("what", ["log", "console"])
async def test_a_vm_that_is_not_there_has_neither(web: Web, what: str) -> None:
    answer = await web.call("GET", f"/api/v1/vms/99/{what}", b"", AS_ADMIN)
    assert answer.status == 404
    assert "99" in json.loads(answer.body)["error"]["message"]


async def test_an_image_says_how_far_its_data_is(world: World, web: Web) -> None:
    image_id = next(iter(world.state.images))
    world.kept.fractions[Kind.IMAGE, image_id] = 0.25
    assert (await get(web, f"/images/{image_id}"))["progress"] == 0.25
