"""A lease file in Haizea's XML, as a user hands it to a request."""

import pytest

from orrery.core.capacity import Capacity
from orrery.core.errors import InvalidInput
from orrery.core.lease_lwf import lease_terms_from_lwf
from orrery.core.model.lease import LeaseKind, NodeSet

NOW = 1_800_000_000.0

LEASE = """<lease {more}>
  <nodes><node-set numnodes="4"><res type="CPU" amount="100"/><res type="Memory" amount="1024"/>
  </node-set></nodes>
  {start}
  <duration time="01:30:00"/>
  <software><disk-image id="web.img" size="2048"/></software>
</lease>"""


def lease(start: str = "<start/>", more: str = "") -> str:
    return LEASE.format(start=start, more=more)


def test_a_start_is_counted_from_now() -> None:
    (terms,) = lease_terms_from_lwf(
        lease('<start><exact time="+02:00:00"/></start>', 'preemptible="true"').encode(), NOW
    )
    assert terms.kind is LeaseKind.RESERVATION
    assert (terms.start, terms.duration) == (NOW + 7200, 5400)
    assert terms.nodes == (NodeSet(count=4, capacity=Capacity(100, 1024)),)
    assert (terms.image, terms.image_mib, terms.preemptible) == ("web.img", 2048, True)


@pytest.mark.parametrize(
    ("start", "kind"),
    [("<start/>", LeaseKind.BEST_EFFORT), ("<start><now/></start>", LeaseKind.IMMEDIATE)],
)
def test_no_start_and_now(start: str, kind: LeaseKind) -> None:
    (terms,) = lease_terms_from_lwf(lease(start).encode(), NOW)
    assert terms.kind is kind


def test_all_requests_of_a_workload_are_read() -> None:
    requests = "".join(
        f'<lease-request arrival="00:0{n}:00">{lease()}</lease-request>' for n in (1, 2)
    )
    text = f"<lease-workload><lease-requests>{requests}</lease-requests></lease-workload>"
    assert len(lease_terms_from_lwf(text.encode(), NOW)) == 2


def test_one_request_is_read() -> None:
    text = f"<lease-request arrival='00:00:00'>{lease()}</lease-request>"
    assert len(lease_terms_from_lwf(text.encode(), NOW)) == 1


def test_another_document_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"<site>.*<lease-workload>"):
        lease_terms_from_lwf(b"<site/>", NOW)
