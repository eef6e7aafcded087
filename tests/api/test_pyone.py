"""The stock Python client against the application: everything it binds, it can read."""

from collections.abc import Callable
from typing import Any

import pyone
import pytest

from tests.api.world import ADMIN, ANNA, NOW, World

NET = 'NAME="lan" VN_MAD="bridge" BRIDGE="br0" AR=[TYPE="IP4" IP="10.0.0.1" SIZE="20"]'.replace(
    '" IP', '", IP'
).replace('" SIZE', '", SIZE')


@pytest.fixture
def one(world: World, serve: Callable[[World], str]) -> Any:
    return pyone.OneServer(serve(world) + "/RPC2", session="oneadmin:secret")


@pytest.fixture
def populated(world: World, one: Any) -> Any:
    """A VM with disk and NIC through the API, a running one put beside it."""
    one.vn.allocate(NET, -1)
    one.vm.allocate(
        'NAME="web" CPU="0.5" MEMORY="256" DISK=[IMAGE_ID="0"] NIC=[NETWORK_ID="0"]\n'
        'CONTEXT=[SET_HOSTNAME="web"] COLOUR="blue ]] > & <"'
    )
    world.running_vm(7, ANNA)
    world.numbers.vms[7] = {"CPU": 12.5, "MEMORY": 1000, "NETRX": 7, "NETTX": 8, "TIMESTAMP": NOW}
    world.numbers.hosts[1] = {"USED_CPU": 10, "FREE_CPU": 790, "TIMESTAMP": NOW}
    world.numbers.datastores[1] = {"TOTAL_MB": 10, "FREE_MB": 6, "USED_MB": 4}
    return one


def test_a_vm_shows_what_it_was_made_of(populated: Any) -> None:
    vm = populated.vm.info(0)
    assert (vm.NAME, vm.UNAME, vm.STATE, vm.LCM_STATE) == ("web", "oneadmin", 1, 0)
    assert vm.PERMISSIONS.OWNER_U == 1
    assert vm.TEMPLATE["CPU"] == "0.5"
    assert vm.TEMPLATE["VCPU"] == "1"
    assert vm.TEMPLATE["DISK"]["IMAGE"] == "debian"
    assert vm.TEMPLATE["DISK"]["SIZE"] == "2048"
    assert vm.TEMPLATE["NIC"]["IP"] == "10.0.0.1"
    assert vm.USER_TEMPLATE["COLOUR"] == "blue ]] > & <"
    assert vm.HISTORY_RECORDS.HISTORY == []


def test_a_running_vm_shows_its_host_and_its_numbers(populated: Any) -> None:
    vm = populated.vm.info(7)
    assert (3, 3, int(NOW)) == (vm.STATE, vm.LCM_STATE, vm.LAST_POLL)
    assert vm.HISTORY_RECORDS.HISTORY[-1].HOSTNAME == "node1"
    assert float(vm.MONITORING.CPU) == 12.5
    assert vm.SNAPSHOTS == []


def test_pools_of_vms_come_in_two_forms(populated: Any) -> None:
    short = populated.vmpool.info(-2, -1, -1, -1)
    assert [vm.ID for vm in short.VM] == [0, 7]
    assert short.VM[1].HISTORY_RECORDS.HISTORY[0].HID == 1
    assert short.VM[1].MONITORING is not None
    full = populated.vmpool.infoextended(-2, -1, -1, 3)
    assert [vm.ID for vm in full.VM] == [7]
    assert [vm.ID for vm in populated.vmpool.infoset("7,0,99", True).VM] == [0, 7]


def test_every_pool_can_be_read(populated: Any) -> None:
    assert [h.NAME for h in populated.hostpool.info().HOST] == ["node1", "node2"]
    assert populated.hostpool.info().HOST[0].VMS.ID == [7]
    assert populated.clusterpool.info().CLUSTER[0].HOSTS.ID == [1, 2]
    assert populated.datastorepool.info().DATASTORE[1].FREE_MB == 6
    assert populated.imagepool.info(-2, -1, -1, -1).IMAGE[0].STATE == 2
    assert populated.vnpool.info(-2, -1, -1).VNET[0].USED_LEASES == 1
    assert populated.secgrouppool.info(-2, -1, -1).SECURITY_GROUP[0].NAME == "default"
    assert [u.NAME for u in populated.userpool.info().USER] == ["oneadmin", "anna", "ben"]
    assert [g.NAME for g in populated.grouppool.info().GROUP] == ["oneadmin", "users"]
    assert populated.zonepool.info().ZONE[0].NAME == "OpenNebula"
    assert populated.acl.info().ACL == []
    assert populated.vdcpool.info().VDC == []


def test_every_object_can_be_read(populated: Any) -> None:
    host = populated.host.info(1)
    assert host.HOST_SHARE.MAX_MEM == 16_384 * 1024
    assert host.HOST_SHARE.CPU_USAGE == 50
    assert host.MONITORING.CAPACITY.USED_CPU == 10
    assert host.TEMPLATE["HYPERVISOR"] == "sim"
    image = populated.image.info(0)
    assert (image.VMS.ID, image.CLONES.ID, image.DATASTORE) == ([0], [], "default")
    network = populated.vn.info(0)
    assert network.AR_POOL.AR[0].LEASES.LEASE[0].VM == 0
    assert network.AR_POOL.AR[0].IP_END == "10.0.0.20"
    assert populated.datastore.info(1).TEMPLATE["TM_MAD"] == "sim"
    assert populated.cluster.info(0).NAME == "default"
    assert populated.group.info(1).USERS.ID == [2, 3]
    assert populated.zone.info(0).TEMPLATE["ENDPOINT"].endswith("/RPC2")
    assert populated.secgroup.info(0).TEMPLATE["RULE"][0]["PROTOCOL"] == "ALL"


def test_a_user_shows_neither_hash_nor_token(populated: Any) -> None:
    token = populated.user.login("oneadmin", "", 100)
    me = populated.user.info(-1)
    assert (me.NAME, me.GROUPS.ID, me.ENABLED) == ("oneadmin", [0], 1)
    assert not me.PASSWORD
    assert not me.LOGIN_TOKEN[0].TOKEN
    assert len(token) >= 16


def test_templates_are_stored_changed_and_instantiated(world: World, one: Any) -> None:
    tid = one.template.allocate({"NAME": "small", "CPU": "1", "MEMORY": "128"})
    one.template.update(tid, {"TEMPLATE": {"MEMORY": "64", "OS": {"ARCH": "x86_64"}}}, 1)
    assert one.template.info(tid).TEMPLATE["MEMORY"] == "64"
    vid = one.template.instantiate(tid, "mine", False, 'MEMORY="512"', False)
    vm = one.vm.info(vid)
    assert (vm.NAME, vm.TEMPLATE["MEMORY"], vm.TEMPLATE["TEMPLATE_ID"]) == ("mine", "512", str(tid))
    assert one.templatepool.info(-2, -1, -1, -1).VMTEMPLATE[0].NAME == "small"
    copy = one.template.clone(tid, "second")
    assert one.template.info(copy).NAME == "second"
    one.template.delete(tid)
    with pytest.raises(pyone.OneNoExistsException, match=r"^\[one\.template\.info\] Error getting"):
        one.template.info(tid)


def test_a_vm_lives_through_its_actions(world: World, one: Any) -> None:
    vid = one.vm.allocate('CPU="1" MEMORY="64"', True)
    assert one.vm.info(vid).STATE == 2
    one.vm.action("release", vid)
    one.vm.deploy(vid, 1)
    assert (one.vm.info(vid).STATE, one.vm.info(vid).LCM_STATE) == (3, 1)
    with pytest.raises(pyone.OneActionException, match="This action is not available for state"):
        one.vm.action("resume", vid)
    one.vm.recover(vid, 3)
    assert one.vm.info(vid).LCM_STATE == 23


def test_changing_rights_and_owners(world: World, one: Any) -> None:
    world.running_vm(7, ANNA)
    one.vm.chmod(7, -1, -1, -1, 1, 0, 0, 0, 0, 0)
    assert one.vm.info(7).PERMISSIONS.GROUP_U == 1
    one.vm.chown(7, 3, -1)
    assert (one.vm.info(7).UID, one.vm.info(7).UNAME) == (3, "ben")
    one.vm.rename(7, "other")
    one.vm.update(7, {"NOTE": "kept"}, 1)
    vm = one.vm.info(7)
    assert (vm.NAME, vm.USER_TEMPLATE["NOTE"]) == ("other", "kept")


def test_hosts_clusters_datastores_and_users_are_made(world: World, one: Any) -> None:
    cid = one.cluster.allocate("rack2")
    hid = one.host.allocate("node3", "sim", "sim", cid)
    assert one.cluster.addhost(cid, hid) == cid
    one.host.status(hid, 1)
    assert one.host.info(hid).STATE == 4
    one.host.update(hid, {"RACK": "2"}, 1)
    assert one.host.info(hid).TEMPLATE["RACK"] == "2"
    one.host.delete(hid)
    did = one.datastore.allocate('NAME="more" TYPE="IMAGE_DS" DS_MAD="sim" TM_MAD="sim"', -1)
    assert one.datastore.info(did).NAME == "more"
    uid = one.user.allocate("carl", "pw", "", [1])
    carl = pyone.OneServer(f"http://{one._ServerProxy__host}/RPC2", "carl:pw")
    assert uid == carl.user.info(-1).ID
    one.user.passwd(uid, "other")
    with pytest.raises(pyone.OneAuthenticationException):
        carl.system.version()


def test_networks_are_changed(world: World, one: Any) -> None:
    nid = one.vn.allocate(NET, -1)
    one.vn.add_ar(nid, 'AR=[TYPE="IP4", IP="10.0.1.1", SIZE="4"]')
    one.vn.hold(nid, 'LEASES=[IP="10.0.0.3"]')
    lease = one.vn.info(nid).AR_POOL.AR[0].LEASES.LEASE[0]
    assert (lease.IP, lease.VM) == ("10.0.0.3", -1)
    one.vn.release(nid, 'LEASES=[IP="10.0.0.3"]')
    one.vn.rm_ar(nid, 1)
    assert len(one.vn.info(nid).AR_POOL.AR) == 1
    one.vn.delete(nid)
    assert one.vnpool.info(-2, -1, -1).VNET == []


def test_images_are_registered_and_switched(world: World, one: Any) -> None:
    iid = one.image.allocate('NAME="data" TYPE="DATABLOCK" SIZE="100"', 1)
    assert one.image.info(iid).STATE == 4
    one.image.enable(0, False)
    assert one.image.info(0).STATE == 3
    one.image.persistent(0, True)
    assert one.image.info(0).PERSISTENT == 1


def test_monitoring_and_accounting(populated: Any, world: World) -> None:
    newest = populated.vmpool.monitoring(-2, 0).MONITORING
    assert [(m.ID, m.MEMORY) for m in newest] == [(7, 1000)]
    history = populated.vmpool.accounting(-2, -1, -1).HISTORY
    assert [(h.OID, h.VM.NAME) for h in history] == [(7, "vm7")]


def test_codes_of_refusals(world: World, one: Any) -> None:
    world.running_vm(7, ADMIN)
    with pytest.raises(pyone.OneNoExistsException):
        one.vm.info(99)
    with pytest.raises(pyone.OneInternalException, match="CPU"):
        one.vm.allocate('MEMORY="1"')
    with pytest.raises(pyone.OneActionException, match='Action "x" is not supported'):
        one.vm.action("x", 7)
    with pytest.raises(pyone.OneApiException, match="Incorrect filter_flag"):
        one.vmpool.info(-9, -1, -1, -1)
    with pytest.raises(pyone.OneApiException, match="Wrong update type"):
        one.vm.update(7, "A=1", 2)
    with pytest.raises(pyone.OneException, match="Error allocating a new host"):
        one.host.allocate("node1", "sim", "sim", -1)
    with pytest.raises(pyone.OneActionException, match="not available in this version"):
        one.vm.migrate(7, 1, True)
    with pytest.raises(pyone.OneException, match="not defined"):
        one.nonsense.info()
