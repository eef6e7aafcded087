"""The XML of every kind of object: well-formed whatever is in it, cached as long as nothing
changes.
"""

import os
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from orrery.api.xml import build
from orrery.api.xml.documents import Answer, Documents
from orrery.api.xml.zone import zone, zone_pool
from orrery.core.capacity import Capacity
from orrery.core.model.host import Measured
from orrery.core.model.kinds import Kind
from orrery.core.model.network import AddressRange, VirtualNetwork
from orrery.core.model.users import LoginToken, VmTemplate
from orrery.core.model.vm import Disk, Nic
from orrery.core.status import HistoryAction, NetworkStatus, VmStatus
from orrery.core.template import Template, parse
from orrery.ports.store import Sample
from orrery.service import vms
from tests.api.world import ADMIN, ANNA, NOW, World

NASTY = "a<b>&\"']]>\x01\ud800é\r\n"


def xml_of(answer: Answer) -> str:
    """What a client sees once XML-RPC's escaping is undone."""
    return unescape(b"".join(answer).decode())


def parsed(answer: Answer) -> etree._Element:
    return etree.fromstring(xml_of(answer).encode())


@pytest.fixture
def documents(world: World) -> Documents:
    return Documents(world.state, world.numbers)


@pytest.fixture
def full_world(world: World) -> World:
    """Every kind of object, with everything it can have."""
    world.put(
        replace(world.state.users[2], tokens=(LoginToken(sha256="0" * 64, expires_at=NOW),)),
        replace(world.state.hosts[1], template=parse('RACK="1"'), error="it failed"),
    )
    world.put(a_network())
    template = parse('CPU="1" MEMORY="1" OS=[ARCH="x86_64"]')
    world.put(VmTemplate(id=0, name="t", uid=2, gid=1, regtime=NOW, template=template))
    disk = Disk(
        id=0,
        image_id=0,
        datastore_id=1,
        kind="FILE",
        source="/x",
        format="qcow2",
        size_mib=10,
        original_size_mib=10,
        target="vda",
        dev_prefix="vd",
    )
    nic = Nic(
        id=0,
        network_id=0,
        ar_id=0,
        index=3,
        mac="02:00:0a:00:00:04",
        ip="10.0.0.4",
        bridge="br0",
        target="one-7-0",
        vn_mad="bridge",
        model="virtio",
    )
    vm = world.running_vm(7, ANNA, disks=(disk,), nics=(nic,), template_id=0, error="none")
    done = replace(vm.history[0], seq=0, etime=NOW, action=HistoryAction.POWEROFF)
    world.running_vm(8, ADMIN, history=(done, replace(vm.history[0], seq=1)))
    world.put(replace(world.state.vms[8], id=9, status=VmStatus.PENDING, history=()))
    world.numbers.vms[7] = {"CPU": 1.5, "MEMORY": 5, "TIMESTAMP": NOW, "NETRX": 1, "DISKRDIOPS": 2}
    world.numbers.hosts[1] = {"USED_CPU": 1, "FREE_MEMORY": 4, "TIMESTAMP": NOW, "NETTX": 5}
    return world


def a_network() -> VirtualNetwork:
    ar = AddressRange(id=0, type="IP4", size=10, ip="10.0.0.1", mac="02:00:0a:00:00:01", held=(1,))
    return VirtualNetwork(
        id=0,
        name="lan",
        uid=0,
        gid=0,
        status=NetworkStatus.READY,
        vn_mad="bridge",
        bridge="br0",
        ranges=(ar,),
    )


def everything(world: World, documents: Documents) -> dict[str, Answer | str]:
    """One document of each kind, by the name of its schema."""
    state = world.state
    samples = [Sample(Kind.VM, 7, NOW, {"CPU": 1.0, "MEMORY": 5.0})]
    return {
        "vm": documents.vm(state.vms[7]),
        "vm_pool": documents.vm_pool(state.vms.values()),
        "vm_pool_extended": documents.vm_pool_extended(state.vms.values()),
        "host": documents.host(state.hosts[1]),
        "host_pool": documents.host_pool(state.hosts.values()),
        "cluster": documents.cluster(state.clusters[0]),
        "cluster_pool": documents.cluster_pool(state.clusters.values()),
        "image": documents.image(state.images[0]),
        "image_pool": documents.image_pool(state.images.values()),
        "datastore": documents.datastore(state.datastores[1]),
        "datastore_pool": documents.datastore_pool(state.datastores.values()),
        "vnet": documents.network(state.networks[0]),
        "vnet_pool": documents.network_pool(state.networks.values()),
        "security_group": documents.security_group(state.security_groups[0]),
        "security_group_pool": documents.security_group_pool(state.security_groups.values()),
        "vmtemplate": documents.template(state.templates[0]),
        "vmtemplate_pool": documents.template_pool(state.templates.values()),
        "user": documents.user(state.users[2]),
        "user_pool": documents.user_pool(list(state.users.values())),
        "group": documents.group(state.groups[1]),
        "group_pool": documents.group_pool(list(state.groups.values())),
        "acct": documents.accounting(vms.stays(state, ADMIN, -2, -1, -1)),
        "monitoring_data": documents.series(samples),
        "zone": zone("http://localhost/"),
        "zone_pool": zone_pool("http://localhost/"),
    }


SCHEMAS = os.environ.get("ORRERY_XSD")


@pytest.mark.skipif(SCHEMAS is None, reason="ORRERY_XSD names no directory with OpenNebula's XSDs")
def test_documents_are_valid_by_opennebulas_schemas(
    full_world: World, documents: Documents
) -> None:
    problems = []
    for name, answer in everything(full_world, documents).items():
        text = answer if isinstance(answer, str) else xml_of(answer)
        root = text.partition(">")[0]
        named = text.replace(root, f'{root} xmlns="http://opennebula.org/XMLSchema"', 1)
        schema = etree.XMLSchema(etree.parse(str(Path(SCHEMAS or "") / f"{name}.xsd")))
        if not schema.validate(etree.fromstring(named.encode())):
            problems.append((name, str(schema.error_log)))
    assert problems == []


def test_documents_begin_with_an_element_and_parse(full_world: World, documents: Documents) -> None:
    for answer in everything(full_world, documents).values():
        text = answer if isinstance(answer, str) else xml_of(answer)
        assert text.startswith("<")
        etree.fromstring(text.encode())


def test_vm_xml_is_as_it_was(
    full_world: World, documents: Documents, golden: Callable[[str, str], None]
) -> None:
    pretty = etree.tostring(parsed(documents.vm(full_world.state.vms[7])), pretty_print=True)
    golden("xml/vm.xml", pretty.decode())


@given(st.text(max_size=60))
def test_any_text_survives_as_cdata_and_as_text(value: str) -> None:
    kept = build.ILLEGAL.sub("\ufffd", value).replace("\r\n", "\n").replace("\r", "\n")
    assert etree.fromstring(build.free("A", value).encode()).text in (
        kept,
        None if not kept else "",
    )
    assert (etree.fromstring(f"<A>{build.text(value)}</A>".encode()).text or "") == kept


def test_nasty_values_and_names_do_not_break_a_document(world: World, documents: Documents) -> None:
    world.running_vm(7, ANNA, user_template=Template((("9LIVES", NASTY), ("A B", (("K", NASTY),)))))
    vm = parsed(documents.vm(world.state.vms[7]))
    assert vm.findtext("USER_TEMPLATE/_9LIVES") is not None
    assert vm.findtext("USER_TEMPLATE/_A_B/K") is not None


# --- the cache ------------------------------------------------------------------------------------


def test_an_unchanged_object_is_not_serialised_again(world: World, documents: Documents) -> None:
    vm = world.running_vm(7, ANNA)
    first, second = documents.vm(vm), documents.vm(vm)
    assert all(a is b for a, b in zip(first, second, strict=True))


def test_a_changed_vm_is_shown_as_it_is_now(world: World, documents: Documents) -> None:
    vm = world.running_vm(7, ANNA)
    documents.vm_pool([vm])
    changed = replace(vm, status=VmStatus.POWEROFF)
    assert parsed(documents.vm_pool([changed])).findtext("VM/STATE") == "8"


def test_a_renamed_owner_is_shown_at_once(world: World, documents: Documents) -> None:
    vm = world.running_vm(7, ANNA)
    documents.vm(vm)
    world.put(replace(world.state.users[2], name="anne"))
    assert parsed(documents.vm(vm)).findtext("UNAME") == "anne"


def test_new_numbers_are_shown_without_a_change_of_the_vm(
    world: World, documents: Documents
) -> None:
    vm = world.running_vm(7, ANNA)
    assert parsed(documents.vm(vm)).findtext("LAST_POLL") == "0"
    for cpu in (10.0, 20.0):
        world.numbers.vms[7] = {"CPU": cpu, "TIMESTAMP": NOW}
        shown = parsed(documents.vm(vm))
        assert shown.findtext("MONITORING/CPU") == f"{cpu:.2f}"
        assert shown.findtext("LAST_POLL") == str(int(NOW))


def test_host_and_image_follow_the_vms(world: World, documents: Documents) -> None:
    host, image = world.state.hosts[1], world.state.images[0]
    assert parsed(documents.host(host)).findtext("HOST_SHARE/MEM_USAGE") == "0"
    assert parsed(documents.image(image)).findtext("STATE") == "1"
    disk = Disk(
        id=0,
        image_id=0,
        datastore_id=1,
        kind="FILE",
        source="",
        format="raw",
        size_mib=1,
        original_size_mib=1,
        target="vda",
        dev_prefix="vd",
    )
    world.running_vm(7, ANNA, disks=(disk,), capacity=Capacity(100, 512, 0))
    assert parsed(documents.host(host)).findtext("HOST_SHARE/MEM_USAGE") == str(512 * 1024)
    used = parsed(documents.image(image))
    assert (used.findtext("STATE"), used.findtext("RUNNING_VMS")) == ("2", "1")


def test_cpu_is_shown_as_given_until_it_differs(world: World, documents: Documents) -> None:
    vm = world.running_vm(7, ANNA, template=parse('CPU="1.50"'), capacity=Capacity(150, 1, 1))
    assert parsed(documents.vm(vm)).findtext("TEMPLATE/CPU") == "1.50"
    resized = replace(vm, capacity=Capacity(200, 1, 1))
    assert parsed(documents.vm(resized)).findtext("TEMPLATE/CPU") == "2"


def test_a_host_says_what_leases_were_measured_to_take(world: World, documents: Documents) -> None:
    suspend = Measured(kind="suspend", mean=1 / 64, variance=1 / 65536, count=2)
    own = parse('LEASE_OPERATION=[ KIND="old" ]')
    host = replace(world.state.hosts[1], template=own, measured=(suspend,))
    found = parsed(documents.host(host)).findall("TEMPLATE/LEASE_OPERATION")
    assert [{item.tag: item.text for item in one} for one in found] == [
        {
            "KIND": "suspend",
            "MEAN": "0.01562",
            "DEVIATION": "0.003906",
            "UNIT": "s/MiB",
            "COUNT": "2",
        }
    ]
