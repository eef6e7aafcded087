"""Who answers for an attribute that reaches into the host: whoever wrote it."""

import pytest

from orrery.core.errors import InvalidInput, NotAuthorized
from orrery.core.messages import ENGINE, Actor, AllocateNetwork, AllocateTemplate, AllocateVm
from orrery.core.model.host import EMPTY
from orrery.core.template import Template, merge, parse
from tests.site import Site

RAW = 'RAW=[TYPE="kvm", DATA="<devices><watchdog model=\'i6300esb\'/></devices>"]'
PLAIN = 'CPU="1" MEMORY="64"'


def stored(site: Site, text: str, actor: Actor = ENGINE) -> int:
    message = AllocateTemplate(cause="t", actor=actor, template=parse(f'NAME="t" {text}'))
    result = site.do(message)
    assert result is not None
    return result


def instantiate(site: Site, actor: Actor, template_id: int, extra: Template = EMPTY) -> int:
    template = merge(site.state.templates[template_id].template, extra)
    result = site.do(
        AllocateVm(
            cause="t",
            actor=actor,
            template=template,
            hold=True,
            template_id=template_id,
            extra=extra,
        )
    )
    assert result is not None
    return result


def test_a_user_may_instantiate_what_an_administrator_stored() -> None:
    site = Site()
    user = site.user("anna")
    vm_id = instantiate(site, user, stored(site, f"{PLAIN} {RAW}"))
    assert site.state.vms[vm_id].template.has("RAW")


def test_a_user_may_not_add_a_restricted_attribute_to_it() -> None:
    site = Site()
    user = site.user("anna")
    with pytest.raises(NotAuthorized, match="RAW/DATA"):
        instantiate(site, user, stored(site, PLAIN), parse(RAW))
    assert not site.state.vms


def test_what_a_user_stored_gives_nobody_more_rights() -> None:
    site = Site()
    user = site.user("anna")
    template_id = stored(site, f"{PLAIN} {RAW}", user)
    with pytest.raises(NotAuthorized, match="RAW/DATA"):
        instantiate(site, user, template_id)


@pytest.mark.parametrize(
    ("second", "field"),
    [
        ('VN_MAD="nat" BRIDGE="br0" AR=[TYPE="IP4", IP="10.9.0.2", SIZE="5"]', "BRIDGE"),
        ('VN_MAD="bridge" BRIDGE="br0"', "BRIDGE"),
        ('VN_MAD="nat" BRIDGE="br1" AR=[TYPE="IP4", IP="10.8.0.77", SIZE="5"]', "AR/IP"),
    ],
)
def test_networks_that_would_fight_over_a_bridge_or_a_subnet_are_refused(
    second: str, field: str
) -> None:
    site = Site()
    first = 'NAME="a" VN_MAD="nat" BRIDGE="br0" AR=[TYPE="IP4", IP="10.8.0.2", SIZE="5"]'
    site.do(AllocateNetwork(cause="t", actor=ENGINE, template=parse(first)))
    with pytest.raises(InvalidInput, match="virtual network a") as refusal:
        template = parse(f'NAME="b" {second}')
        site.do(AllocateNetwork(cause="t", actor=ENGINE, template=template))
    assert refusal.value.field == field
    assert len(site.state.networks) == 1


def test_networks_may_share_a_bridge_that_was_there_before() -> None:
    site = Site()
    for name in ("a", "b"):
        text = f'NAME="{name}" VN_MAD="bridge" BRIDGE="lan0"'
        site.do(AllocateNetwork(cause="t", actor=ENGINE, template=parse(text)))
    assert len(site.state.networks) == 2
