"""The envelope, faults, codes and rights of the XML-RPC front end, without a client library's
help.
"""

import xmlrpc.client
from typing import Any

import pytest
from msgspec.structs import replace

from orrery.api.http import build
from orrery.api.xmlrpc.dispatch import KNOWN, METHODS
from orrery.api.xmlrpc.method import CODES
from orrery.core.errors import Reason
from tests.api.conftest import Web
from tests.api.world import ADMIN, ANNA, BEN, World

pytestmark = pytest.mark.anyio

AS_ADMIN = "oneadmin:secret"
AS_ANNA = "anna:anna-secret"


async def call(web: Web, method: str, *parameters: Any) -> list[Any]:
    """The array of the envelope; raises xmlrpc.client.Fault."""
    body = xmlrpc.client.dumps(parameters, method).encode()
    answer = await web.call("POST", "/RPC2", body, {"content-type": "text/xml"})
    assert answer.status == 200
    (value,), _ = xmlrpc.client.loads(answer.body)
    assert isinstance(value, list)
    return value


async def fault(web: Web, method: str, *parameters: Any) -> xmlrpc.client.Fault:
    with pytest.raises(xmlrpc.client.Fault) as caught:
        await call(web, method, *parameters)
    return caught.value


# --- envelope -------------------------------------------------------------------------------------


async def test_success_is_an_array_of_three(web: Web) -> None:
    assert await call(web, "one.system.version", AS_ADMIN) == [True, "7.5.80", 0]


async def test_failure_is_an_array_of_five(web: Web) -> None:
    answer = await call(web, "one.vm.info", AS_ADMIN, 7)
    assert answer == [False, "[one.vm.info] Error getting virtual machine [7].", 0x400, 7, -1]


async def test_more_parameters_than_a_method_takes_are_ignored(web: Web) -> None:
    answer = await call(web, "one.imagepool.info", AS_ADMIN, -2, -1, -1, -1, "what", 3)
    assert answer[0] is True
    assert answer[1].startswith("<IMAGE_POOL>")


@pytest.mark.parametrize(
    ("method", "parameters", "code", "words"),
    [
        ("one.vm.info", (), -502, "session"),
        ("one.vm.info", (5,), -501, "session"),
        ("one.vm.info", (AS_ADMIN,), -502, "oid"),
        ("one.vm.info", (AS_ADMIN, "5"), -501, "oid"),
        ("one.vm.info", (AS_ADMIN, True), -501, "oid"),
        ("one.vm.allocate", (AS_ADMIN, "CPU=1", 1), -501, "hold"),
        ("one.user.allocate", (AS_ADMIN, "x", "y", "", ["1"]), -501, "groups"),
        ("one.vm.fly", (AS_ADMIN,), -506, "one.vm.fly"),
        ("vm.info", (AS_ADMIN, 1), -506, "vm.info"),
        ("system.multicall", ([],), -506, "system.multicall"),
    ],
)
async def test_calls_that_do_not_fit_a_method_are_faults(
    web: Web, method: str, parameters: tuple[Any, ...], code: int, words: str
) -> None:
    error = await fault(web, method, *parameters)
    assert error.faultCode == code
    assert words in error.faultString


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"<methodCall>",
        b"\xff\xfe\x00",
        b'<!DOCTYPE x [<!ENTITY a "b">]><methodCall><methodName>m</methodName></methodCall>',
        b"<methodResponse/>",
    ],
)
async def test_hostile_or_broken_bodies_are_faults(web: Web, body: bytes) -> None:
    answer = await web.call("POST", "/RPC2", body)
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(answer.body)
    assert caught.value.faultCode == -503


async def test_a_body_over_the_limit_is_a_fault(world: World) -> None:
    web = Web(build(world.parts(body_limit=1000)))
    for headers in ({}, {"content-length": "5"}):
        answer = await web.call("POST", "/RPC2", b"x" * 1001, headers)
        assert b"larger than 1000 bytes" in answer.body
        assert answer.headers["connection"] == "close"


async def test_ten_megabytes_are_taken(web: Web) -> None:
    answer = await call(web, "one.vm.allocate", AS_ADMIN, "A" * 10_000_000)
    assert answer[:1] + answer[2:3] == [False, 0x2000]
    assert len(answer[1]) < 500


async def test_only_post_is_answered(web: Web) -> None:
    assert (await web.call("GET", "/RPC2")).status == 405


async def test_an_unexpected_error_is_an_answer_without_details(world: World) -> None:
    async def broken(command: object) -> int | None:
        raise ValueError("a secret detail")

    engine = replace(world.engine, submit=broken)
    web = Web(build(world.parts(engine=engine)))
    answer = await call(web, "one.vm.allocate", AS_ADMIN, 'CPU="1" MEMORY="1"')
    assert answer[2] == 0x2000
    assert "secret detail" not in answer[1]


# --- introspection --------------------------------------------------------------------------------


async def test_introspection_needs_no_login_and_tells_the_table(web: Web) -> None:
    methods = await call(web, "system.listMethods")
    assert set(METHODS) < set(methods)
    assert "one.vm.migrate" not in methods
    assert await call(web, "system.methodSignature", "one.vm.allocate") == [
        ["array", "string", "string", "boolean"]
    ]
    body = xmlrpc.client.dumps(("one.vm.allocate",), "system.methodHelp").encode()
    answer = await web.call("POST", "/RPC2", body)
    assert xmlrpc.client.loads(answer.body)[0] == ("Creates a VM from a template text.",)


def test_every_method_says_what_it_does() -> None:
    assert [name for name, row in KNOWN.items() if not row.help] == []


def test_every_reason_has_a_code() -> None:
    assert set(CODES) == set(Reason)


# --- codes and texts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters", "code", "words"),
    [
        ("vm.allocate", ("CPU=1",), 0x2000, "MEMORY"),
        ("vm.allocate", ('CPU="1" MEMORY="1" DISK=[IMAGE_ID="9"]',), 0x2000, "image [9]"),
        ("vm.allocate", ("CPU=[",), 0x2000, "line 1"),
        ("vm.action", ("stop", 7), 0x800, 'Action "stop" is not available'),
        ("vm.action", ("dance", 7), 0x800, 'Action "dance" is not supported'),
        ("vm.action", ("release", 7), 0x800, "This action is not available for state RUNNING"),
        ("vm.action", ("hold", 99), 0x400, "Error getting virtual machine [99]."),
        ("vm.deploy", (7, 1), 0x800, "Deploy action is not available for state RUNNING"),
        ("vm.deploy", (7, 99), 0x400, "Error getting host [99]."),
        ("vm.deploy", (7, 1, False, 1), 0x1000, "system datastore"),
        ("vm.recover", (7, 9), 0x1000, "operation"),
        ("vm.update", (7, "A=1", 7), 0x1000, "Wrong update type"),
        ("vm.update", (7, "A=[", 0), 0x2000, "line 1"),
        ("vm.chmod", (7, 2, 0, 0, 0, 0, 0, 0, 0, 0), 0x1000, "permissions"),
        ("vm.rename", (7, "a/b"), 0x1000, "NAME"),
        ("vm.migrate", (7, 1, True), 0x800, "one.vm.migrate is not available in this version"),
        ("vmpool.info", (-5, -1, -1, -1), 0x1000, "Incorrect filter_flag"),
        ("vmpool.infoset", ("1,x", False), 0x1000, "ids"),
        ("vmpool.monitoring", (-2, -7), 0x1000, "seconds"),
        ("host.allocate", ("node1", "sim", "sim"), 0x4000, "Error allocating a new host."),
        ("host.allocate", ("node9", "sim", "sim", 77), 0x400, "Error getting cluster [77]."),
        ("host.status", (1, 9), 0x1000, "status"),
        ("host.delete", (1,), 0x800, ""),
        ("image.allocate", ("NAME=x", 99), 0x400, "Error getting datastore [99]."),
        ("image.allocate", ("NAME=x", 0), 0x4000, "Error allocating a new image."),
        ("image.delete", (99,), 0x400, "Error getting image [99]."),
        ("template.instantiate", (99,), 0x400, "virtual machine template [99]"),
        ("template.allocate", ("CPU=1",), 0x2000, "NAME"),
        ("vn.allocate", ("NAME=n",), 0x2000, "VN_MAD"),
        ("vn.hold", (0, "LEASES=[IP=1.2.3.4]"), 0x400, "Error getting virtual network [0]."),
        ("user.allocate", ("anna", "x"), 0x2000, "NAME is already taken by USER 2."),
        ("user.allocate", ("eve", "a b"), 0x2000, "password"),
        ("user.allocate", ("eve", "a", "ldap"), 0x2000, "auth driver"),
        ("user.login", ("oneadmin", "", -5), 0x1000, "valid"),
        ("user.login", ("nobody", "", 5), 0x400, "user"),
        ("user.delete", (0,), 0x800, "cannot be deleted"),
        ("cluster.delete", (0,), 0x800, ""),
        ("zone.info", (1,), 0x400, "Error getting zone [1]."),
    ],
)
async def test_refusals_have_opennebulas_codes_and_words(
    world: World, web: Web, method: str, parameters: tuple[Any, ...], code: int, words: str
) -> None:
    world.running_vm(7, ANNA)
    answer = await call(web, f"one.{method}", AS_ADMIN, *parameters)
    assert answer[0] is False
    assert answer[2] == code, answer[1]
    assert answer[1].startswith(f"[one.{method}] ")
    assert words in answer[1]


@pytest.mark.parametrize(
    "session", ["", "oneadmin", "oneadmin:", "oneadmin:wrong", "nobody:secret", ":", "a:b:c"]
)
async def test_bad_credentials_get_one_answer(web: Web, session: str) -> None:
    answer = await call(web, "one.vm.info", session, 1)
    text = "[one.vm.info] User couldn't be authenticated, aborting call."
    assert answer == [False, text, 0x100, -1, -1]


# --- rights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters", "words"),
    [
        ("vm.info", (7,), "USE VM [7]"),
        ("vm.monitoring", (7,), "USE VM [7]"),
        ("vm.action", ("terminate", 7), "MANAGE VM [7]"),
        ("vm.update", (7, "A=1"), "MANAGE VM [7]"),
        ("vm.rename", (7, "x"), "MANAGE VM [7]"),
        ("vm.chown", (7, 2, -1), "MANAGE VM [7]"),
        ("vm.chmod", (7, 1, -1, -1, -1, -1, -1, -1, -1, -1), "MANAGE VM [7]"),
        ("vm.deploy", (6, 1), "ADMIN VM [6]"),
        ("vm.recover", (6, 3), "ADMIN VM [6]"),
        ("vm.chmod", (6, -1, -1, 1, -1, -1, -1, -1, -1, -1), "ADMIN VM [6]"),
        ("vm.chown", (6, 3, -1), "MANAGE USER [3]"),
        ("vm.chown", (6, -1, 0), "USE GROUP [0]"),
        ("host.allocate", ("n", "sim", "sim"), "CREATE HOST"),
        ("host.update", (1, "A=1"), "ADMIN HOST [1]"),
        ("host.status", (1, 1), "ADMIN HOST [1]"),
        ("host.delete", (1,), "ADMIN HOST [1]"),
        ("cluster.allocate", ("c",), "CREATE CLUSTER"),
        ("datastore.allocate", ("NAME=x",), "CREATE DATASTORE"),
        ("datastore.update", (1, "A=1"), "MANAGE DATASTORE [1]"),
        ("vn.allocate", ("NAME=x",), "CREATE NET"),
        ("image.info", (5,), "USE IMAGE [5]"),
        ("image.delete", (0,), "MANAGE IMAGE [0]"),
        ("image.persistent", (0, True), "MANAGE IMAGE [0]"),
        ("user.allocate", ("x", "y"), "CREATE USER"),
        ("user.info", (3,), "USE USER [3]"),
        ("user.passwd", (0, "hacked"), "MANAGE USER [0]"),
        ("user.login", ("oneadmin", "", 100), "MANAGE USER [0]"),
        ("user.delete", (2,), "ADMIN USER [2]"),
        ("group.info", (0,), "USE GROUP [0]"),
        ("system.config", (), "CONFIGURATION"),
    ],
)
async def test_users_are_refused_what_is_not_theirs(
    world: World, web: Web, method: str, parameters: tuple[Any, ...], words: str
) -> None:
    world.running_vm(6, ANNA)
    world.running_vm(7, BEN)
    world.put(replace(world.state.images[0], id=5, name="private", permissions=0o600))
    answer = await call(web, f"one.{method}", AS_ANNA, *parameters)
    assert answer[0] is False
    assert answer[2] == 0x200, answer[1]
    assert answer[1].startswith(f"[one.{method}] User [2] : ")
    assert words in answer[1]
    assert world.commands == []


async def test_pools_show_users_only_what_they_may_use(world: World, web: Web) -> None:
    world.running_vm(5, ADMIN)
    world.running_vm(6, ANNA)
    world.running_vm(7, BEN)
    world.running_vm(8, BEN, permissions=0o640)
    world.put(replace(world.state.images[0], id=5, name="private", permissions=0o600))
    world.put(replace(world.state.security_groups[0], id=100, name="own", permissions=0o600))
    expected = {
        ("vmpool.info", -2, -1, -1, -1): [6, 8],
        ("vmpool.infoextended", -2, -1, -1, -1): [6, 8],
        ("vmpool.infoset", "5,6,7,8", False): [6, 8],
        ("imagepool.info", -2, -1, -1): [0],
        ("secgrouppool.info", -2, -1, -1): [0],
        ("userpool.info",): [2],
        ("grouppool.info",): [1],
        ("hostpool.info",): [1, 2],
        ("datastorepool.info",): [0, 1, 2],
    }
    for (method, *parameters), ids in expected.items():
        answer = await call(web, f"one.{method}", AS_ANNA, *parameters)
        assert top_ids(answer[1]) == ids, method


def top_ids(xml: str) -> list[int]:
    """Ids of a pool's members, leaving out those of siblings that are no objects."""
    from lxml import etree

    return [
        int(child.findtext("ID") or "")
        for child in etree.fromstring(xml.encode())
        if child.tag not in ("QUOTAS", "VLAN_RULES") and child.find("NAME") is not None
    ]


async def test_accounting_and_monitoring_are_filtered_too(world: World, web: Web) -> None:
    world.running_vm(6, ANNA)
    world.running_vm(7, BEN)
    world.numbers.vms.update({6: {"CPU": 1.0}, 7: {"CPU": 2.0}})
    answer = await call(web, "one.vmpool.accounting", AS_ANNA, -2, -1, -1)
    assert "<OID>6</OID>" in answer[1] and "<OID>7</OID>" not in answer[1]
    answer = await call(web, "one.vmpool.monitoring", AS_ANNA, -2, 0)
    assert "<ID>6</ID>" in answer[1] and "<ID>7</ID>" not in answer[1]


async def test_a_user_may_do_what_is_his(world: World, web: Web) -> None:
    assert (await call(web, "one.vm.allocate", AS_ANNA, 'CPU="1" MEMORY="1"'))[:2] == [True, 0]
    assert (await call(web, "one.vm.action", AS_ANNA, "terminate", 0))[0] is True
    assert (await call(web, "one.user.update", AS_ANNA, 2, 'PHONE="1"'))[:2] == [True, 2]
    assert (await call(web, "one.user.passwd", AS_ANNA, 2, "fresh"))[:2] == [True, 2]
    assert (await call(web, "one.user.info", AS_ANNA, -1))[2] == 0x100
    assert (await call(web, "one.user.info", "anna:fresh", -1))[0] is True


@pytest.mark.parametrize("path", ["/etc/shadow", "/var/tmp/../../etc/shadow", "file:///etc/shadow"])
async def test_an_image_is_no_way_to_read_the_engines_files(
    world: World, web: Web, path: str
) -> None:
    text = f'NAME="x" TYPE="OS" PATH="{path}"'
    answer = await call(web, "one.image.allocate", AS_ANNA, text, 1)
    assert answer[2] == 0x4000
    assert "safe directories" in answer[1]
    source = 'NAME="x" TYPE="OS" SOURCE="/etc/shadow"'
    assert (await call(web, "one.image.allocate", AS_ANNA, source, 1))[2] == 0x200
    assert world.commands == []


# --- pages ----------------------------------------------------------------------------------------


async def test_a_pool_is_read_in_pages_until_a_short_one(world: World, web: Web) -> None:
    for vm_id in range(25):
        world.running_vm(vm_id, ADMIN)
    seen: list[int] = []
    for offset in range(0, 100, 10):
        page = top_ids((await call(web, "one.vmpool.info", AS_ADMIN, -2, offset, -10, -1))[1])
        seen += page
        if len(page) < 10:
            break
    assert seen == list(range(25))


async def test_commands_carry_who_asks_and_why(world: World, web: Web) -> None:
    await call(web, "one.vm.allocate", AS_ANNA, 'CPU="1" MEMORY="1"')
    (command,) = world.commands
    assert (command.actor, command.cause) == (ANNA, "test-1")
    assert world.state.vms[0].uid == 2
