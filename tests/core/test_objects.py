"""What can be done with any object: rename, rights, owner, attributes, delete."""

import pytest

from orrery.core.errors import Exists, InUse, InvalidInput, NotFound, Refused, WrongState
from orrery.core.messages import (
    ENGINE,
    Actor,
    AllocateCluster,
    AllocateDatastore,
    AllocateHost,
    AllocateImage,
    AllocateNetwork,
    AllocateSecurityGroup,
    AllocateTemplate,
    Chmod,
    Chown,
    DeleteObject,
    ExplainVm,
    PlaceVm,
    Rename,
    TerminateVm,
    UpdateTemplate,
)
from orrery.core.model.kinds import Kind
from orrery.core.objects import PER_OWNER, WORDS
from orrery.core.status import VmStatus
from orrery.core.template import parse
from tests.core.refusals import refused
from tests.site import Site

KEEP = -1


def rename(kind: Kind, object_id: int, name: str) -> Rename:
    return Rename(cause="t", actor=ENGINE, kind=kind, id=object_id, name=name)


def delete(kind: Kind, object_id: int) -> DeleteObject:
    return DeleteObject(cause="t", actor=ENGINE, kind=kind, id=object_id)


def chown(kind: Kind, object_id: int, uid: int | None, gid: int | None = None) -> Chown:
    return Chown(cause="t", actor=ENGINE, kind=kind, id=object_id, uid=uid, gid=gid)


def chmod(kind: Kind, object_id: int, *bits: int) -> Chmod:
    return Chmod(cause="t", actor=ENGINE, kind=kind, id=object_id, bits=bits)  # type: ignore[arg-type]


def update(kind: Kind, object_id: int, text: str, *, append: bool) -> UpdateTemplate:
    return UpdateTemplate(
        cause="t", actor=ENGINE, kind=kind, id=object_id, template=parse(text), append=append
    )


def new_template(name: str, actor: Actor = ENGINE) -> AllocateTemplate:
    return AllocateTemplate(cause="t", actor=actor, template=parse(f'NAME="{name}" CPU="1"'))


def full_site() -> Site:
    """At least one object of every kind; the one in ONE may be renamed and deleted."""
    site = Site()
    site.do(new_template("tmpl"))
    template = parse('NAME="more"')
    site.do(AllocateDatastore(cause="t", actor=ENGINE, template=template))
    site.do(AllocateSecurityGroup(cause="t", actor=ENGINE, template=template))
    site.do(AllocateCluster(cause="t", actor=ENGINE, name="more"))
    site.user("more")
    site.image("more")
    site.network("more")
    site.host("more")
    site.vm('NAME="more" CPU="1" MEMORY="64"')
    site.lease()
    return site


ONE: dict[Kind, int] = {
    Kind.VM: 0,
    Kind.HOST: 1,
    Kind.IMAGE: 0,
    Kind.DATASTORE: 100,
    Kind.NETWORK: 0,
    Kind.TEMPLATE: 0,
    Kind.SECURITY_GROUP: 100,
    Kind.USER: 2,
    Kind.GROUP: 1,
    Kind.CLUSTER: 100,
    Kind.LEASE: 0,
}
NAMED = [kind for kind in Kind if kind is not Kind.STAGED_IMAGE]
"""Kinds of objects that users name; copies in caches are the engine's own."""

OWNED = [kind for kind in Kind if kind in PER_OWNER or kind in (Kind.VM, Kind.LEASE)]


# --- one object of every kind ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", NAMED, ids=lambda k: k.value)
def test_every_object_can_be_renamed(kind: Kind) -> None:
    site = full_site()
    site.do(rename(kind, ONE[kind], "other"))
    assert site.state.pools[kind][ONE[kind]].name == "other"
    assert site.state.by_name(kind, "other") == ONE[kind]
    assert site.state.by_name(kind, "more") is None
    site.do(rename(kind, ONE[kind], "other"))


@pytest.mark.parametrize("name", ["", "a/b", "x" * 129, "a\nb"])
@pytest.mark.parametrize("kind", NAMED, ids=lambda k: k.value)
def test_an_odd_new_name_is_refused(kind: Kind, name: str) -> None:
    refused(full_site(), rename(kind, ONE[kind], name), InvalidInput, "NAME")


def test_a_user_is_renamed_to_one_word() -> None:
    refused(full_site(), rename(Kind.USER, 2, "a b"), InvalidInput, "NAME", "a b", "blank")


@pytest.mark.parametrize("kind", NAMED, ids=lambda k: k.value)
def test_an_unknown_object_is_named_in_the_refusal(kind: Kind) -> None:
    site = full_site()
    text = f"Error getting {WORDS[kind]} [77]."
    refused(site, rename(kind, 77, "x"), NotFound, text)
    refused(site, delete(kind, 77), NotFound, text)
    refused(site, chown(kind, 77, 0), NotFound, text)
    refused(site, chmod(kind, 77, *[1] * 9), NotFound, text)
    refused(site, update(kind, 77, "A=b", append=True), NotFound, text)


@pytest.mark.parametrize("kind", NAMED, ids=lambda k: k.value)
def test_attributes_are_merged_or_replaced(kind: Kind) -> None:
    site = full_site()
    one = ONE[kind]

    def attributes() -> dict[str, str]:
        obj = site.state.pools[kind][one]
        template = obj.user_template if kind in (Kind.VM, Kind.LEASE) else obj.template
        return {name: template.get(name) for name in ("A", "B") if template.has(name)}

    site.do(update(kind, one, 'A="1" B="2" NAME="never"', append=True))
    site.do(update(kind, one, 'B="3"', append=True))
    assert attributes() == {"A": "1", "B": "3"}
    site.do(update(kind, one, 'A="4"', append=False))
    assert attributes() == {"A": "4"}
    assert site.state.pools[kind][one].name != "never"


@pytest.mark.parametrize("kind", [k for k in NAMED if k not in OWNED], ids=lambda k: k.value)
def test_what_has_no_owner_has_no_rights_to_change(kind: Kind) -> None:
    site = full_site()
    refused(site, chown(kind, ONE[kind], 0), InvalidInput, "has no owner")
    refused(site, chmod(kind, ONE[kind], *[1] * 9), InvalidInput, "has no owner")


# --- rights and owner -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "then"),
    [
        ((KEEP,) * 9, 0o600),
        ((1,) * 9, 0o777),
        ((0,) * 9, 0o000),
        ((KEEP, KEEP, KEEP, 1, 0, 0, KEEP, KEEP, KEEP), 0o640),
        ((KEEP, 0, KEEP, KEEP, KEEP, KEEP, KEEP, KEEP, 1), 0o401),
    ],
)
@pytest.mark.parametrize("kind", [Kind.VM, Kind.IMAGE, Kind.TEMPLATE], ids=lambda k: k.value)
def test_chmod_sets_clears_and_keeps(kind: Kind, bits: tuple[int, ...], then: int) -> None:
    site = full_site()
    site.do(chmod(kind, ONE[kind], *bits))
    assert site.state.pools[kind][ONE[kind]].permissions == then


@pytest.mark.parametrize("bits", [(1,) * 8, (2,) * 9, (-2, *(1,) * 8), ()])
def test_other_bits_are_refused(bits: tuple[int, ...]) -> None:
    refused(full_site(), chmod(Kind.VM, 0, *bits), InvalidInput, "permissions", "nine numbers")


@pytest.mark.parametrize("kind", OWNED, ids=lambda k: k.value)
def test_an_object_is_given_to_others(kind: Kind) -> None:
    site = full_site()
    site.do(chown(kind, ONE[kind], 2))
    site.do(chown(kind, ONE[kind], None, 1))
    obj = site.state.pools[kind][ONE[kind]]
    assert (obj.uid, obj.gid) == (2, 1)


@pytest.mark.parametrize("kind", OWNED, ids=lambda k: k.value)
def test_an_object_is_not_given_to_nobody(kind: Kind) -> None:
    site = full_site()
    refused(site, chown(kind, ONE[kind], 77), NotFound, "user [77]")
    refused(site, chown(kind, ONE[kind], 2, 77), NotFound, "group [77]")


def test_a_name_may_not_be_given_to_someone_who_has_it() -> None:
    site = full_site()
    site.do(new_template("tmpl", Actor(2, (1,))))
    refused(site, chown(Kind.TEMPLATE, 0, 2), Exists, "NAME is already taken by TEMPLATE 1")
    site.do(new_template("other"))
    refused(site, rename(Kind.TEMPLATE, 2, "tmpl"), Exists, "taken by TEMPLATE 0")


def test_two_vms_may_bear_one_name() -> None:
    site = full_site()
    site.vm('NAME="second" CPU="1" MEMORY="64"')
    site.do(rename(Kind.VM, 1, "more"))


def test_a_new_name_does_not_make_what_is_in_flight_stale() -> None:
    site = full_site()
    site.place(0)
    for message in (rename(Kind.VM, 0, "b"), chmod(Kind.VM, 0, *[1] * 9), chown(Kind.VM, 0, 2)):
        site.do(message)
    site.settle(Kind.VM, 0)
    assert site.state.vms[0].status is VmStatus.BOOT


# --- attributes of VMs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'SCHED_REQUIREMENTS="ID >"',
        'REQUIREMENTS="(ID = 1"',
        'SCHED_RANK="FREE_CPU +"',
        'RANK="1 +* 2"',
        'SCHED_REQUIREMENTS="' + "(" * 200 + '"',
    ],
)
@pytest.mark.parametrize("append", [True, False], ids=["merge", "replace"])
def test_what_the_planner_could_not_read_is_refused(append: bool, text: str) -> None:
    site = full_site()
    field = text.split("=")[0].removeprefix("SCHED_")
    refused(site, update(Kind.VM, 0, text, append=append), InvalidInput, field)


def test_new_requirements_take_the_old_reason_to_wait_away() -> None:
    site = full_site()
    site.do(ExplainVm(cause="s", vm_id=0, gen=site.state.vms[0].gen, text="no room"))
    assert site.state.vms[0].sched_message == "no room"
    site.do(update(Kind.VM, 0, 'SCHED_REQUIREMENTS="ID = 1"', append=True))
    assert site.state.vms[0].sched_message is None


def test_users_cannot_write_the_engines_own_attributes() -> None:
    site = full_site()
    site.do(update(Kind.VM, 0, 'ERROR="none" SCHED_MESSAGE="soon" A="1"', append=True))
    assert site.state.vms[0].user_template == parse('A="1"')


# --- deletion -------------------------------------------------------------------------------------

DELETABLE = [kind for kind in NAMED if kind not in (Kind.VM, Kind.GROUP, Kind.LEASE)]


@pytest.mark.parametrize("kind", DELETABLE, ids=lambda k: k.value)
def test_what_nobody_uses_can_be_deleted(kind: Kind) -> None:
    site = full_site()
    site.do(delete(kind, ONE[kind]))
    if kind is Kind.IMAGE:
        site.settle(Kind.IMAGE, ONE[kind])
    assert ONE[kind] not in site.state.pools[kind]
    assert site.state.by_name(kind, "more") is None


@pytest.mark.parametrize(
    ("kind", "object_id"),
    [
        (Kind.USER, 0),
        (Kind.GROUP, 0),
        (Kind.GROUP, 1),
        (Kind.CLUSTER, 0),
        (Kind.DATASTORE, 0),
        (Kind.DATASTORE, 1),
        (Kind.DATASTORE, 2),
        (Kind.SECURITY_GROUP, 0),
    ],
    ids=str,
)
def test_what_everything_leans_on_stays(kind: Kind, object_id: int) -> None:
    refused(full_site(), delete(kind, object_id), WrongState, f"[{object_id}]", "of the system")


def users_site(case: str) -> Site:
    """A site in which something leans on the object that the case is about."""
    site = full_site()
    sam = Actor(2, (1,))
    match case:
        case "cluster of a host":
            site.do(
                AllocateHost(
                    cause="t", actor=ENGINE, name="h2", im_mad="sim", vm_mad="sim", cluster_id=100
                )
            )
        case "cluster of a network":
            template = parse('NAME="n2" VN_MAD="dummy"')
            message = AllocateNetwork(cause="t", actor=ENGINE, template=template, cluster_id=100)
            site.do(message)
        case "cluster of a datastore":
            template = parse('NAME="d2"')
            site.do(AllocateDatastore(cause="t", actor=ENGINE, template=template, cluster_id=100))
        case "datastore of an image":
            template = parse('NAME="i2" PATH="/x"')
            site.do(AllocateImage(cause="t", actor=ENGINE, template=template, datastore_id=100))
        case "group of a network":
            site.do(update(Kind.NETWORK, 0, 'SECURITY_GROUPS="0,100"', append=True))
        case "group of a NIC":
            site.vm('CPU="1" MEMORY="64" NIC=[NETWORK="more", SECURITY_GROUPS="100"]')
        case "owner of a VM":
            site.vm('CPU="1" MEMORY="64"', sam)
        case "owner of an image":
            site.image("hers", actor=sam)
        case "owner of a template":
            site.do(new_template("hers", sam))
        case "owner of a security group":
            template = parse('NAME="hers"')
            site.do(AllocateSecurityGroup(cause="t", actor=sam, template=template))
    return site


USED: dict[str, tuple[Kind, int, str]] = {
    "cluster of a host": (Kind.CLUSTER, 100, "hosts"),
    "cluster of a network": (Kind.CLUSTER, 100, "virtual networks"),
    "cluster of a datastore": (Kind.CLUSTER, 100, "datastores"),
    "datastore of an image": (Kind.DATASTORE, 100, "images"),
    "group of a network": (Kind.SECURITY_GROUP, 100, "virtual network more [0]"),
    "group of a NIC": (Kind.SECURITY_GROUP, 100, "VM [1]"),
    "owner of a VM": (Kind.USER, 2, "owns objects"),
    "owner of an image": (Kind.USER, 2, "owns objects"),
    "owner of a template": (Kind.USER, 2, "owns objects"),
    "owner of a security group": (Kind.USER, 2, "owns objects"),
}


@pytest.mark.parametrize("case", USED)
def test_what_others_use_stays(case: str) -> None:
    kind, object_id, words = USED[case]
    refused(users_site(case), delete(kind, object_id), InUse, f"[{object_id}]", words)


@pytest.mark.parametrize("case", ["group of a NIC", "owner of a VM"])
def test_a_vm_that_is_done_holds_nothing(case: str) -> None:
    site = users_site(case)
    site.do(TerminateVm(cause="t", actor=ENGINE, vm_id=1))
    kind, object_id, _ = USED[case]
    site.do(delete(kind, object_id))


def test_disks_of_vms_hold_their_system_datastore() -> None:
    site = full_site()
    template = parse('NAME="fast" TYPE="SYSTEM_DS"')
    store = site.do(AllocateDatastore(cause="t", actor=ENGINE, template=template))
    assert store is not None
    gen = site.state.vms[0].gen
    site.do(PlaceVm(cause="t", vm_id=0, gen=gen, host_id=1, ds_id=store))
    refused(site, delete(Kind.DATASTORE, store), InUse, "disks of VMs")


def test_an_id_is_never_given_twice() -> None:
    site = full_site()
    site.do(delete(Kind.TEMPLATE, 0))
    assert site.do(new_template("tmpl")) == 1


ERRORS: tuple[type[Refused], ...] = (InvalidInput, NotFound, Exists, InUse, WrongState)


def test_refusals_have_codes_that_apis_can_map() -> None:
    assert len({error.reason for error in ERRORS}) == len(ERRORS)
