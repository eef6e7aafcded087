"""Who may do what: bits, administrators, stock rules, chmod arithmetic."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.core.access import (
    apply_bits,
    changes_admin,
    default_permissions,
    may,
    require,
    require_create,
    visible,
)
from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput, NotAuthorized
from orrery.core.messages import Actor
from orrery.core.model.host import Cluster, Host
from orrery.core.model.kinds import Kind
from orrery.core.model.storage import Image
from orrery.core.model.users import Group, User
from orrery.core.model.vm import Vm
from orrery.core.status import HostStatus, ImageStatus, ImageType, Right, VmStatus
from orrery.core.template import Template

OWNER, MEMBER, STRANGER = Actor(5, (9,)), Actor(6, (1, 7)), Actor(8, (1,))
ADMIN, IN_ADMINS = Actor(0, (0,)), Actor(6, (1, 0))
RIGHTS = (Right.USE, Right.MANAGE, Right.ADMIN)


def vm(permissions: int, uid: int = 5, gid: int = 7) -> Vm:
    return Vm(
        id=3,
        name="x",
        uid=uid,
        gid=gid,
        permissions=permissions,
        status=VmStatus.PENDING,
        prev_status=VmStatus.PENDING,
        capacity=Capacity(),
        vcpu=1,
        stime=0.0,
        template=Template(),
        user_template=Template(),
    )


def image(permissions: int) -> Image:
    return Image(
        id=3,
        name="x",
        uid=5,
        gid=7,
        permissions=permissions,
        type=ImageType.OS,
        status=ImageStatus.READY,
        datastore_id=1,
        regtime=0.0,
        path="",
        source="",
        format="raw",
        size_mib=1,
    )


@pytest.mark.parametrize(("actor", "shift"), [(OWNER, 6), (MEMBER, 3), (STRANGER, 0)])
def test_each_bit_grants_its_right_to_its_class(actor: Actor, shift: int) -> None:
    for right, bit in zip(RIGHTS, (4, 2, 1), strict=True):
        assert may(actor, right, vm(bit << shift))
        assert not may(actor, right, vm(0o777 & ~(bit << shift) & 0o7 << shift))


def test_others_bits_are_for_everybody() -> None:
    assert all(may(actor, Right.USE, vm(0o004)) for actor in (OWNER, MEMBER, STRANGER))


def test_groups_bits_hold_for_every_group_of_the_caller_and_no_other() -> None:
    assert may(MEMBER, Right.USE, vm(0o040))
    assert not may(STRANGER, Right.USE, vm(0o040))
    assert not may(OWNER, Right.USE, vm(0o040))


def test_administrators_may_do_everything() -> None:
    for actor, right in product((ADMIN, IN_ADMINS), RIGHTS):
        assert may(actor, right, vm(0))
        assert may(actor, right, User(id=4, name="u", gid=1, groups=(1,), password_hash=""))


def test_everybody_may_see_hosts_and_clusters_and_nobody_change_them() -> None:
    host = Host(
        id=1,
        name="h",
        status=HostStatus.INIT,
        prev_status=HostStatus.INIT,
        im_mad="sim",
        vm_mad="sim",
        cluster_id=0,
    )
    for obj in (host, Cluster(id=0, name="c")):
        assert visible(STRANGER, obj)
        assert not may(STRANGER, Right.ADMIN, obj)
    assert may(STRANGER, Right.MANAGE, host)


def test_users_see_themselves_and_their_groups_only() -> None:
    users = [User(id=i, name=f"u{i}", gid=1, groups=(1,), password_hash="") for i in (6, 8)]
    assert [visible(STRANGER, user) for user in users] == [False, True]
    assert may(STRANGER, Right.MANAGE, users[1])
    assert not may(STRANGER, Right.ADMIN, users[1])
    assert [visible(STRANGER, Group(id=i, name="g")) for i in (1, 7)] == [True, False]
    assert not may(MEMBER, Right.MANAGE, Group(id=1, name="g"))


def test_refusals_are_in_opennebulas_words() -> None:
    with pytest.raises(NotAuthorized) as caught:
        require(STRANGER, Right.MANAGE, image(0o600))
    assert caught.value.message == "User [8] : Not authorized to perform MANAGE IMAGE [3]."
    with pytest.raises(NotAuthorized, match="Not authorized to perform CREATE HOST"):
        require_create(STRANGER, Kind.HOST)
    require_create(STRANGER, Kind.VM)
    require_create(ADMIN, Kind.HOST)


# --- chmod and umask ---

BITS = st.tuples(*[st.sampled_from((-1, 0, 1))] * 9)


@given(st.integers(0, 0o777), BITS)
def test_chmod_sets_clears_and_keeps_each_bit(permissions: int, bits: tuple[int, ...]) -> None:
    result = apply_bits(permissions, bits)
    for place, bit in enumerate(bits):
        mask = 1 << (8 - place)
        assert bool(result & mask) == (bool(permissions & mask) if bit < 0 else bool(bit))
    assert apply_bits(result, bits) == result


@pytest.mark.parametrize("bits", [(1,) * 8, (1,) * 10, (2,) + (0,) * 8, (-2,) + (0,) * 8])
def test_chmod_takes_nine_numbers_of_three_values(bits: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput):
        apply_bits(0o600, bits)


def test_only_admin_bits_take_admin_rights() -> None:
    assert not changes_admin(0o600, (1, 1, -1, 1, 1, -1, 0, 0, -1))
    assert not changes_admin(0o600, (1, 1, 0, 1, 1, 0, 0, 0, 0))
    assert changes_admin(0o700, (-1, -1, 0, -1, -1, -1, -1, -1, -1))
    assert changes_admin(0o600, (-1, -1, -1, -1, -1, -1, -1, -1, 1))


def test_new_objects_are_private_unless_the_umask_says_otherwise() -> None:
    assert default_permissions(STRANGER) == 0o600
    assert default_permissions(STRANGER, "137") == 0o640
    assert default_permissions(ADMIN, "000") == 0o777
    for text in ("", "8", "0777", "abc", "-1"):
        with pytest.raises(InvalidInput, match="UMASK"):
            default_permissions(STRANGER, text)
