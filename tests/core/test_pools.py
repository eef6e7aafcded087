"""Objects without a life cycle: templates, datastores, clusters, security groups, users, tokens."""

import pytest

from orrery.core.errors import Exists, InvalidInput, NotFound, Refused
from orrery.core.messages import (
    ENGINE,
    Actor,
    AddToken,
    AllocateCluster,
    AllocateDatastore,
    AllocateSecurityGroup,
    AllocateTemplate,
    AllocateUser,
    Bootstrap,
    RevokeToken,
    SetPassword,
    UpdateTemplate,
)
from orrery.core.model.kinds import Kind
from orrery.core.pools import MAX_TOKENS
from orrery.core.status import DatastoreType
from orrery.core.template import parse
from tests.core.refusals import refused, snapshot
from tests.site import Site


def new_template(text: str, actor: Actor = ENGINE) -> AllocateTemplate:
    return AllocateTemplate(cause="t", actor=actor, template=parse(text))


def new_store(text: str, cluster_id: int = 0) -> AllocateDatastore:
    return AllocateDatastore(cause="t", actor=ENGINE, template=parse(text), cluster_id=cluster_id)


def new_group(text: str) -> AllocateSecurityGroup:
    return AllocateSecurityGroup(cause="t", actor=ENGINE, template=parse(text))


def new_user(name: str, gids: tuple[int, ...] = ()) -> AllocateUser:
    return AllocateUser(
        cause="t", actor=ENGINE, name=name, password_hash="x", auth_driver="", gids=gids
    )


def test_the_first_start_makes_opennebulas_objects_and_the_second_nothing() -> None:
    site = Site()
    assert [d.name for d in site.state.datastores.values()] == ["system", "default", "files"]
    assert [g.name for g in site.state.groups.values()] == ["oneadmin", "users"]
    before = snapshot(site)
    site.do(Bootstrap(cause="start", password_hash="y", datastore_dir="/other", driver="fs"))
    assert snapshot(site) == before


# --- templates, datastores, clusters --------------------------------------------------------------


def test_a_template_keeps_everything_but_its_name() -> None:
    site = Site()
    template_id = site.do(new_template('NAME="web" CPU="1" DISK=[IMAGE="os"] DISK=[IMAGE="b"]'))
    assert template_id is not None
    stored = site.state.templates[template_id]
    assert stored.name == "web"
    assert stored.template == parse('CPU="1" DISK=[IMAGE="os"] DISK=[IMAGE="b"]')
    assert stored.regtime == site.now


def test_a_template_name_is_taken_once_per_owner() -> None:
    site = Site()
    site.do(new_template('NAME="web"'))
    refused(site, new_template('NAME="web"'), Exists, "NAME is already taken by TEMPLATE 0")
    site.do(new_template('NAME="web"', site.user("sam")))
    refused(site, new_template('CPU="1"'), InvalidInput, "NAME", "give a name")


def test_a_datastore_lies_beside_the_default_ones() -> None:
    site = Site()
    store_id = site.do(new_store('NAME="fast" TYPE="system_ds" NOTE="x"'))
    assert store_id == 100
    store = site.state.datastores[store_id]
    assert (store.type, store.base_path) == (DatastoreType.SYSTEM, "/ds/100")
    assert (store.tm_mad, store.template) == ("sim", parse('NOTE="x"'))


@pytest.mark.parametrize(
    ("text", "cluster", "error", "words"),
    [
        ('TYPE="IMAGE_DS"', 0, InvalidInput, ("NAME",)),
        ('NAME="default"', 0, Exists, ("already taken by DATASTORE 1",)),
        ('NAME="x" TYPE="BACKUP_DS"', 0, InvalidInput, ("TYPE", "BACKUP_DS", "IMAGE_DS")),
        ('NAME="x" BASE_PATH="srv"', 0, InvalidInput, ("BASE_PATH", "srv", "absolute")),
        ('NAME="x" BASE_PATH="/srv/../etc"', 0, InvalidInput, ("BASE_PATH", "/srv/../etc")),
        ('NAME="x" BASE_PATH="/srv\n/x"', 0, InvalidInput, ("BASE_PATH", "absolute")),
        ('NAME="x"', 9, NotFound, ("cluster [9]",)),
    ],
)
def test_a_datastore_that_makes_no_sense_is_refused(
    text: str, cluster: int, error: type[Refused], words: tuple[str, ...]
) -> None:
    refused(Site(), new_store(text, cluster), error, *words)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("default", Exists, ("already taken by CLUSTER 0",)),
        ("", InvalidInput, ("NAME", "give a name")),
        ("a$b", InvalidInput, ("NAME", "a$b")),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(
    name: str, error: type[Refused], words: tuple[str, ...]
) -> None:
    refused(Site(), AllocateCluster(cause="t", actor=ENGINE, name=name), error, *words)


# --- security groups -----------------------------------------------------------------------------

IN = 'RULE_TYPE="inbound"'


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        (f'{IN}, PROTOCOL="SCTP"', InvalidInput, ("RULE 1/PROTOCOL", "SCTP", "TCP, UDP")),
        ('PROTOCOL="TCP"', InvalidInput, ("RULE 1/RULE_TYPE", "INBOUND or OUTBOUND")),
        ('RULE_TYPE="both"', InvalidInput, ("RULE 1/RULE_TYPE", "BOTH")),
        (f'{IN}, PROTOCOL="TCP", RANGE="http"', InvalidInput, ("RULE 1/RANGE", "http", "22,53")),
        (f'{IN}, PROTOCOL="TCP", RANGE="65536"', InvalidInput, ("RULE 1/RANGE", "65536")),
        (f'{IN}, PROTOCOL="TCP", RANGE="1:2:3"', InvalidInput, ("RULE 1/RANGE", "1:2:3")),
        (f'{IN}, PROTOCOL="TCP", RANGE="443:80"', InvalidInput, ("RULE 1/RANGE", "before it beg")),
        (f'{IN}, PROTOCOL="TCP", RANGE="22,"', InvalidInput, ("RULE 1/RANGE", "22,")),
        (f'{IN}, PROTOCOL="TCP", RANGE=":80"', InvalidInput, ("RULE 1/RANGE", ":80")),
        (f'{IN}, PROTOCOL="TCP", RANGE="²"', InvalidInput, ("RULE 1/RANGE",)),
        (f'{IN}, PROTOCOL="TCP", RANGE="000000999999"', InvalidInput, ("RULE 1/RANGE",)),
        (f'{IN}, PROTOCOL="ICMP", RANGE="1"', InvalidInput, ("RULE 1/RANGE", "ICMP")),
        (f'{IN}, RANGE="22"', InvalidInput, ("RULE 1/RANGE", "not for ALL")),
        (f'{IN}, PROTOCOL="TCP", ICMP_TYPE="8"', InvalidInput, ("RULE 1/ICMP_TYPE", "not for TCP")),
        (f'{IN}, PROTOCOL="ICMP", ICMP_TYPE="256"', InvalidInput, ("RULE 1/ICMP_TYPE", "256")),
        (f'{IN}, PROTOCOL="ICMP", ICMP_TYPE="²"', InvalidInput, ("RULE 1/ICMP_TYPE", "255")),
        (f'{IN}, IP="10.0.0.300"', InvalidInput, ("RULE 1/IP", "10.0.0.300", "IPv4")),
        (f'{IN}, IP="::1", SIZE="1"', InvalidInput, ("RULE 1/IP", "::1")),
        (f'{IN}, IP="10.0.0.0/8"', InvalidInput, ("RULE 1/IP", "10.0.0.0/8")),
        (f'{IN}, IP="10.0.0.1", SIZE="0"', InvalidInput, ("RULE 1/SIZE", "'0'")),
        (f'{IN}, IP="10.0.0.1", SIZE="many"', InvalidInput, ("RULE 1/SIZE", "many")),
        (f'{IN}, IP="10.0.0.1", SIZE="-1"', InvalidInput, ("RULE 1/SIZE", "-1")),
        (f'{IN}, IP="255.255.255.255", SIZE="2"', InvalidInput, ("RULE 1/SIZE", "'2'", "IPv4")),
        (f'{IN}, NETWORK_ID="5"', NotFound, ("RULE 1/NETWORK_ID", "[5]")),
        (f'{IN}, NETWORK_ID="²"', NotFound, ("RULE 1/NETWORK_ID",)),
        (f'{IN}, NETWORK_ID="' + "0" * 5000 + '1"', NotFound, ("RULE 1/NETWORK_ID",)),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_when_made_and_when_changed(
    rule: str, error: type[Refused], words: tuple[str, ...]
) -> None:
    site = Site()
    text = f'RULE=[PROTOCOL="ALL", RULE_TYPE="OUTBOUND"] RULE=[{rule}]'
    refused(site, new_group(f'NAME="g" {text}'), error, *words)
    site.do(new_group('NAME="g"'))
    for append in (True, False):
        change = UpdateTemplate(
            cause="t",
            actor=ENGINE,
            kind=Kind.SECURITY_GROUP,
            id=100,
            template=parse(text),
            append=append,
        )
        refused(site, change, error, *words)


def test_a_rule_without_brackets_is_refused() -> None:
    refused(Site(), new_group('NAME="g" RULE="tcp 22"'), InvalidInput, "RULE", "tcp 22", "RULE=[")


@pytest.mark.parametrize(
    "rule",
    [
        f'{IN}, PROTOCOL="tcp", RANGE="22, 80:443,0:65535"',
        f'{IN}, PROTOCOL="ICMP", ICMP_TYPE="8"',
        f'{IN}, PROTOCOL="ICMPV6", ICMP_TYPE="255"',
        f'{IN}, IP="10.0.0.1", SIZE="254"',
        f'{IN}, IP="10.0.0.1"',
        f'{IN}, IP="0.0.0.0", SIZE="4294967296"',
        f'{IN}, NETWORK_ID="0"',
        'RULE_TYPE="OUTBOUND"',
    ],
)
def test_rules_that_make_sense_are_kept(rule: str) -> None:
    site = Site()
    site.network()
    site.do(new_group(f'NAME="g" RULE=[{rule}]'))
    assert len(site.state.security_groups[100].template.vectors("RULE")) == 1


# --- users ---------------------------------------------------------------------------------------


def test_a_user_is_of_the_group_users_unless_told_otherwise() -> None:
    site = Site()
    site.do(new_user("sam"))
    site.do(new_user("kim", (1, 0, 1)))
    sam, kim = site.state.users[2], site.state.users[3]
    assert (sam.gid, sam.groups, sam.auth_driver) == (1, (1,), "core")
    assert (kim.gid, kim.groups) == (1, (1, 0))


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        (new_user("oneadmin"), Exists, ("already taken by USER 0",)),
        (new_user(""), InvalidInput, ("NAME", "give a name")),
        (new_user("a:b"), InvalidInput, ("NAME", "a:b")),
        (new_user("a b"), InvalidInput, ("NAME", "a b", "blank")),
        (new_user("sam", (77,)), NotFound, ("group [77]",)),
    ],
)
def test_a_user_that_makes_no_sense_is_refused(
    message: AllocateUser, error: type[Refused], words: tuple[str, ...]
) -> None:
    refused(Site(), message, error, *words)


def token(sha256: str, expires_at: float | None = None) -> AddToken:
    return AddToken(cause="t", actor=ENGINE, user_id=0, sha256=sha256, expires_at=expires_at)


def revoke(sha256: str | None) -> RevokeToken:
    return RevokeToken(cause="t", actor=ENGINE, user_id=0, sha256=sha256)


def tokens(site: Site) -> list[str]:
    return [one.sha256 for one in site.state.users[0].tokens]


def test_tokens_are_added_and_revoked() -> None:
    site = Site()
    for sha256 in ("a", "b", "c"):
        site.do(token(sha256))
    site.do(revoke("b"))
    assert tokens(site) == ["a", "c"]
    refused(site, revoke("b"), NotFound, "oneadmin [0]", "no such token")
    site.do(revoke(None))
    assert tokens(site) == []
    site.do(revoke(None))


def test_a_user_has_so_many_live_tokens_and_dead_ones_do_not_count() -> None:
    site = Site()
    site.do(token("dead", site.now + 1.5))
    for number in range(MAX_TOKENS):
        site.do(token(str(number)))
    assert "dead" not in tokens(site)
    refused(site, token("more"), InvalidInput, "token", f"at most {MAX_TOKENS}")


def test_a_new_password_ends_all_tokens() -> None:
    site = Site()
    site.do(token("a"))
    site.do(SetPassword(cause="t", actor=ENGINE, user_id=0, password_hash="y"))
    user = site.state.users[0]
    assert (user.password_hash, user.tokens) == ("y", ())


@pytest.mark.parametrize(
    "message",
    [
        SetPassword(cause="t", actor=ENGINE, user_id=9, password_hash="y"),
        AddToken(cause="t", actor=ENGINE, user_id=9, sha256="a", expires_at=None),
        RevokeToken(cause="t", actor=ENGINE, user_id=9, sha256=None),
    ],
    ids=lambda m: type(m).__name__,
)
def test_nobody_has_no_password_and_no_tokens(message: AddToken) -> None:
    refused(Site(), message, NotFound, "Error getting user [9].")
