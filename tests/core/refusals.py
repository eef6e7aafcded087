"""A refused request changes nothing and says what is wrong: asserted in one place."""

from typing import Any

import pytest

from orrery.core.errors import InvalidInput, Refused
from orrery.core.messages import Message
from orrery.core.model.kinds import Kind
from tests.site import Site

Snapshot = dict[str, Any]


def snapshot(site: Site) -> Snapshot:
    """Everything that a request could change."""
    state = site.state
    pools: Snapshot = {kind.value: dict(state.pools[kind]) for kind in Kind}
    ranges = [(net.id, ar.id) for net in state.networks.values() for ar in net.ranges]
    return pools | {
        "actions": dict(state.actions),
        "next ids": dict(state.next_ids),
        "addresses": {key: state.addresses_taken(*key) for key in ranges},
        "image users": {i: set(state.image_users(i)) for i in state.images},
        "usage": {i: state.host_usage(i) for i in state.hosts},
    }


def refused(site: Site, message: Message, error: type[Refused], *words: str) -> Refused:
    """The refusal: of that class, with these words, with a remedy, and without a trace."""
    before = snapshot(site)
    with pytest.raises(error) as caught:
        site.do(message)
    for word in words:
        assert word in caught.value.message
    if isinstance(caught.value, InvalidInput):
        assert caught.value.field in caught.value.message
        assert len(caught.value.remedy) > 10
    assert snapshot(site) == before
    return caught.value
