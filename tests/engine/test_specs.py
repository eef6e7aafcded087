"""What drivers are told follows from the state alone."""

from msgspec.structs import replace

from orrery.core.messages import ENGINE, AllocateNetwork, AllocateSecurityGroup, Decision
from orrery.core.model.kinds import Kind
from orrery.core.status import VmStatus
from orrery.core.template import parse
from orrery.engine import specs
from orrery.ports.driver import FilterRule
from tests.site import Site

OPEN_BOTH_WAYS = (
    FilterRule(inbound=False, protocol="all"),
    FilterRule(inbound=True, protocol="all"),
)


def group(site: Site, rules: str) -> int:
    text = f'NAME="g" {rules}'
    result = site.do(AllocateSecurityGroup(cause="t", actor=ENGINE, template=parse(text)))
    assert result is not None
    return result


def rules_of(site: Site, group_id: int) -> list[FilterRule]:
    return specs.filter_rules(site.state.security_groups[group_id], site.state)


def test_the_default_group_admits_everything() -> None:
    site = Site()
    assert tuple(rules_of(site, 0)) == OPEN_BOTH_WAYS


def test_a_rule_is_told_with_ports_and_peers() -> None:
    site = Site()
    number = group(
        site,
        'RULE=[PROTOCOL="TCP", RULE_TYPE="inbound", RANGE="22,8000:8080", IP="10.1.0.5", SIZE="3"]',
    )
    assert rules_of(site, number) == [
        FilterRule(
            inbound=True,
            protocol="tcp",
            ports=((22, 22), (8000, 8080)),
            networks=("10.1.0.5-10.1.0.7",),
        )
    ]


def test_a_rule_for_a_network_admits_the_addresses_of_its_ranges() -> None:
    site = Site().furnished()
    number = group(site, 'RULE=[RULE_TYPE="inbound", NETWORK_ID="0"]')
    assert rules_of(site, number)[0].networks == ("10.0.0.10-10.0.0.19",)


def test_a_rule_for_a_network_without_addresses_admits_nobody() -> None:
    site = Site()
    text = 'NAME="l2" VN_MAD="dummy" AR=[TYPE="ETHER", SIZE="4"]'
    network = site.do(AllocateNetwork(cause="t", actor=ENGINE, template=parse(text)))
    number = group(site, f'RULE=[RULE_TYPE="inbound", NETWORK_ID="{network}"]')
    assert rules_of(site, number) == []


def test_a_domain_has_one_name_for_each_placement() -> None:
    site = Site().furnished()
    vm = site.state.vms[site.running()]
    uuid = specs.domain_uuid(site.state.engine_id, vm)
    again = replace(vm, status=VmStatus.BOOT_POWEROFF, gen=vm.gen + 7)
    elsewhere = replace(vm, deployment=vm.deployment + 1)
    assert specs.domain_uuid(site.state.engine_id, again) == uuid
    assert specs.domain_uuid(site.state.engine_id, elsewhere) != uuid


def test_disks_come_from_images_by_clone_and_persistent_ones_by_link() -> None:
    site = Site().furnished()
    site.image("mine", 'PERSISTENT="YES"')
    text = (
        'CPU="1" MEMORY="64" DISK=[IMAGE="os", SIZE="900"] DISK=[IMAGE="mine"] '
        'DISK=[TYPE="swap", SIZE="32"] CONTEXT=[NETWORK="YES"]'
    )
    vm = site.state.vms[site.running(text)]
    plans = specs.disk_plans(vm, site.state)
    assert [plan.how for plan in plans] == ["clone", "link", "swap", "context"]
    assert [plan.size_mib for plan in plans] == [900, None, 32, None]
    assert [plan.target for plan in plans] == [f"/ds/0/{vm.id}/disk.{i}" for i in range(4)]
    assert [disk.target for disk in specs.domain(vm, site.state).disks] == [
        "vda",
        "vdb",
        "vdc",
        "hda",
    ]


def test_a_vm_at_rest_keeps_its_lease_and_has_no_port() -> None:
    site = Site().furnished()
    vm_id = site.running()
    assert len(specs.host_network(site.state, 1).ports) == 1
    site.force(vm_id, VmStatus.POWEROFF)
    network = specs.host_network(site.state, 1)
    assert network.ports == ()
    assert len(network.bridges[0].hosts) == 1


def test_a_vm_that_leaves_takes_its_network_with_it() -> None:
    site = Site().furnished()
    site.force(site.running(), VmStatus.EPILOG)
    assert specs.host_network(site.state, 1).bridges == ()


def test_a_nat_bridge_has_gateway_dhcp_and_name_servers() -> None:
    site = Site()
    site.host()
    site.image()
    text = (
        'NAME="net" VN_MAD="nat" BRIDGE="br7" AR=[TYPE="IP4", IP="10.7.0.10", SIZE="5"] '
        'DNS="10.7.0.1 9.9.9.9"'
    )
    site.do(AllocateNetwork(cause="t", actor=ENGINE, template=parse(text)))
    site.running()
    bridge = specs.host_network(site.state, 1).bridges[0]
    assert (bridge.name, bridge.address, bridge.nat, bridge.dhcp) == (
        "br7",
        "10.7.0.1/24",
        True,
        True,
    )
    assert bridge.dns == ("10.7.0.1", "9.9.9.9")


def test_objects_that_vanish_do_not_break_the_network_of_a_host() -> None:
    site = Site().furnished()
    site.running()
    site.state.apply(Decision(delete=((Kind.NETWORK, 0),)))
    assert specs.host_network(site.state, 1).bridges == ()


def test_boot_order_takes_opennebulas_words_and_the_hypervisors() -> None:
    site = Site().furnished()
    site.image("cd", 'TYPE="CDROM"')
    text = 'CPU="1" MEMORY="64" DISK=[IMAGE="os"] DISK=[IMAGE="cd"] OS=[BOOT="nic0,disk1,disk0,hd"]'
    vm = site.state.vms[site.running(text)]
    assert specs.domain(vm, site.state).boot == ("network", "cdrom", "hd")
    assert specs.boot_order({}) == ("hd",)


def test_engines_that_share_a_host_name_their_domains_and_taps_apart() -> None:
    site = Site()
    site.state.name_prefix = "lab"
    site.furnished()
    vm = site.state.vms[site.running()]
    domain = specs.domain(vm, site.state)
    assert (domain.name, domain.nics[0].target) == (f"lab-{vm.id}", f"lab-{vm.id}-0")
    assert vm.deploy_id == f"lab-{vm.id}"
