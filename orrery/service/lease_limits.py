"""What one user may ask for in leases: the site's admission limits."""

from orrery.core.errors import QuotaExceeded
from orrery.core.messages import Actor
from orrery.core.model.lease import Lease, Terms
from orrery.service.engine import Engine


def check_limits(engine: Engine, actor: Actor, terms: Terms, instead_of: Lease | None) -> None:
    """Nothing, when the terms are within the limits; administrators have none.

    Args:
        instead_of: the lease that these terms would be the new ones of.

    Raises:
        QuotaExceeded: which limit, and by how much.
    """
    if actor.is_admin:
        return
    limits = engine.lease_limits
    if limits.max_duration_s is not None and terms.duration > limits.max_duration_s:
        raise exceeded("duration", terms.duration, limits.max_duration_s, "s")
    if limits.max_ahead_s is not None and terms.start is not None:
        ahead = terms.start - engine.clock.now()
        if ahead > limits.max_ahead_s:
            raise exceeded("start", ahead, limits.max_ahead_s, "s ahead")
    held = held_by(engine, actor.uid if instead_of is None else instead_of.uid, instead_of)
    if limits.max_nodes is not None:
        nodes = terms.node_count + sum(lease.terms.node_count for lease in held)
        if nodes > limits.max_nodes:
            raise exceeded("nodes", nodes, limits.max_nodes, "nodes in all leases")
    if limits.max_node_s is not None:
        seconds = node_s(terms) + sum(node_s(lease.terms) for lease in held)
        if seconds > limits.max_node_s:
            raise exceeded("nodes times duration", seconds, limits.max_node_s, "s in all leases")


def held_by(engine: Engine, uid: int, but: Lease | None) -> list[Lease]:
    leases = (engine.view.leases[lease_id] for lease_id in engine.view.leases_live())
    return [lease for lease in leases if lease.uid == uid and lease is not but]


def node_s(terms: Terms) -> float:
    return terms.node_count * terms.duration


def exceeded(what: str, value: float, limit: float, unit: str) -> QuotaExceeded:
    return QuotaExceeded(
        f"{what}: {value:g} is over the limit of {limit:g} {unit} for a user of this site: "
        "ask for less, or an administrator for more"
    )
