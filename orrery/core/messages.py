"""Every arrow of the system as a data class: commands, events, actions, outcomes, records,
decisions.

A command may be refused; an event has happened and may only be accepted or ignored. `cause` is the
id of the command or event that started a chain; every consequence carries it.
"""

from msgspec import Struct

from orrery.core.capacity import Capacity
from orrery.core.model.action import Action
from orrery.core.model.host import Measured
from orrery.core.model.kinds import Kind
from orrery.core.model.lease import Change, LeaseOrder, LeaseStatus, Operation, Run, Terms
from orrery.core.model.users import ONEADMIN_GID, ONEADMIN_UID
from orrery.core.model.view import Object
from orrery.core.status import DomainState, RecoverOperation
from orrery.core.template import Template

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Actor(Struct, frozen=True):
    """Who asks: the user, all of the user's groups (primary first)."""

    uid: int
    gids: tuple[int, ...]

    @property
    def is_admin(self) -> bool:
        """oneadmin and the members of its group may do everything."""
        return self.uid == ONEADMIN_UID or ONEADMIN_GID in self.gids


ENGINE = Actor(ONEADMIN_UID, (ONEADMIN_GID,))
"""The engine itself, where it acts without being asked."""


class Message(Struct, frozen=True, kw_only=True):
    """Base of commands and events."""

    cause: str


# --- outcomes ---------------------------------------------------------------------------------


class Done(Struct, frozen=True, tag="done"):
    """The call had its effect."""

    result: dict[str, Json] = {}


class Failed(Struct, frozen=True, tag="failed"):
    """The call had no effect and will have none."""

    message: str
    retryable: bool = False


class Unknown(Struct, frozen=True, tag="unknown"):
    """Nobody knows whether the call had its effect or will have it: look, never guess."""

    message: str


Outcome = Done | Failed | Unknown


# --- records --------------------------------------------------------------------------------------


class Record(Struct, frozen=True, kw_only=True):
    """What is published after a commit; never read back to decide. `seq` is given by the store."""

    kind: str
    """`vm.running`, `host.error`, `image.ready` ..."""
    subject_kind: Kind
    subject_id: int
    at: float
    cause: str
    body: dict[str, Json] = {}
    seq: int = 0


class Decision(Struct, frozen=True, kw_only=True):
    """What one message leads to; empty when an event is ignored.

    `actions` replace the unfinished action of their subject; `settled` names subjects whose
    unfinished action is finished (or withdrawn) and has no successor.
    """

    put: tuple[Object, ...] = ()
    delete: tuple[tuple[Kind, int], ...] = ()
    actions: tuple[Action, ...] = ()
    settled: tuple[tuple[Kind, int], ...] = ()
    records: tuple[Record, ...] = ()
    result: int | None = None
    """What the caller of a command gets: usually the object's id."""


NOTHING_TO_DO = Decision()


# --- commands: objects in general -----------------------------------------------------------------


class Command(Message, frozen=True, kw_only=True):
    """Somebody asks."""

    actor: Actor


class UpdateTemplate(Command, frozen=True, kw_only=True):
    """Replace or merge the user's part of an object's template."""

    kind: Kind
    id: int
    template: Template
    append: bool


class Rename(Command, frozen=True, kw_only=True):
    kind: Kind
    id: int
    name: str


class Chmod(Command, frozen=True, kw_only=True):
    """Nine numbers, owner to other, use manage admin: 1 sets, 0 clears, -1 keeps."""

    kind: Kind
    id: int
    bits: tuple[int, int, int, int, int, int, int, int, int]


class Chown(Command, frozen=True, kw_only=True):
    """None keeps."""

    kind: Kind
    id: int
    uid: int | None
    gid: int | None


class DeleteObject(Command, frozen=True, kw_only=True):
    kind: Kind
    id: int


# --- commands: VMs --------------------------------------------------------------------------------


class AllocateVm(Command, frozen=True, kw_only=True):
    template: Template
    hold: bool
    name: str | None = None
    template_id: int | None = None
    extra: Template | None = None
    """What the caller adds to the stored template; None when the whole template is the caller's."""


class VmCommand(Command, frozen=True, kw_only=True):
    """An action on one VM."""

    vm_id: int
    lease_id: int | None = None
    """The lease whose plan asks for it; None: a user does."""


class DeployVm(VmCommand, frozen=True, kw_only=True):
    host_id: int
    enforce: bool = False
    ds_id: int | None = None


class HoldVm(VmCommand, frozen=True, kw_only=True):
    pass


class ReleaseVm(VmCommand, frozen=True, kw_only=True):
    pass


class SuspendVm(VmCommand, frozen=True, kw_only=True):
    pass


class ResumeVm(VmCommand, frozen=True, kw_only=True):
    pass


class PoweroffVm(VmCommand, frozen=True, kw_only=True):
    hard: bool = False


class RebootVm(VmCommand, frozen=True, kw_only=True):
    hard: bool = False


class TerminateVm(VmCommand, frozen=True, kw_only=True):
    hard: bool = False


class RecoverVm(VmCommand, frozen=True, kw_only=True):
    operation: RecoverOperation


class PlaceVm(Message, frozen=True, kw_only=True):
    """The planner's choice, made on a view in which the VM had generation `gen`. Checked again;
    stale is ignored."""

    vm_id: int
    gen: int
    host_id: int
    ds_id: int


class ExplainVm(Message, frozen=True, kw_only=True):
    """Why a pending VM has to wait."""

    vm_id: int
    gen: int
    text: str


class ApplyPlan(Message, frozen=True, kw_only=True):
    """One plan: each placement is decided on the state that the ones before it leave."""

    placements: tuple[PlaceVm, ...]
    explanations: tuple[ExplainVm, ...] = ()


# --- commands: leases -----------------------------------------------------------------------------


class RequestLease(Command, frozen=True, kw_only=True):
    """Ask for a lease: it is PENDING until a plan says what becomes of it."""

    terms: Terms
    template: Template
    name: str | None = None
    template_id: int | None = None
    extra: Template | None = None
    """What the caller adds to the stored template; None when the whole template is the caller's."""
    hold_offer_s: float | None = None
    series: int | None = None


class AllocateLeaseVm(AllocateVm, frozen=True, kw_only=True):
    """A VM whose template asks for a lease: it is the node of a new one, or one more node of the
    lease of its group."""

    terms: Terms
    group: str | None = None
    gather_s: float = 0.0
    """How long the lease of a group waits for more VMs before it is planned."""


class LeaseCommand(Command, frozen=True, kw_only=True):
    """Something asked of one lease."""

    lease_id: int


class CancelLease(LeaseCommand, frozen=True, kw_only=True):
    reason: str | None = None


class ChangeLease(LeaseCommand, frozen=True, kw_only=True):
    """Take the offer, extend, shorten, move, or give another priority: stored with the lease until
    a plan answers it."""

    change: Change


class PlanLease(Message, frozen=True, kw_only=True):
    """What a plan makes of one lease, as it was with generation `gen`; stale is ignored."""

    lease_id: int
    gen: int
    status: LeaseStatus
    terms: Terms
    runs: tuple[Run, ...]
    order: LeaseOrder | None
    served: float = 0.0
    suspensions: int = 0
    attempts: int = 0
    first_start: float | None = None
    reason: str | None = None
    price: float | None = None
    transfers: tuple[Operation, ...] = ()
    expires: float | None = None
    change: Change | None = None
    """What is still to be answered."""
    refusal: str | None = None
    new_vms: tuple[int, ...] = ()
    """The nodes that get a VM: all when it is accepted, those whose VM was lost later."""


class MakeLeaseVm(Message, frozen=True, kw_only=True):
    """The VM of one node, when the lease still is as its plan left it."""

    lease_id: int
    gen: int
    node: int


class LearnRates(Message, frozen=True, kw_only=True):
    """What operations of leases took on a host, of late."""

    host_id: int
    measured: tuple[Measured, ...]


class StageImage(Message, frozen=True, kw_only=True):
    """An image is wanted in the cache of a host, from `start` to `end` as planned; nothing happens
    when it is there or on its way."""

    image_id: int
    host_id: int
    name: str
    """The one by which leases ask for it."""
    mib: int
    start: float
    end: float


class UnstageImage(Message, frozen=True, kw_only=True):
    """No lease needs a copy any more: it goes, unless a VM's disk lies on it."""

    staged_id: int


class ApplyLeasePlan(Message, frozen=True, kw_only=True):
    """One plan of all leases that it changes, and what was learned while the one before it was
    carried out: one transaction."""

    leases: tuple[PlanLease, ...] = ()
    rates: tuple[LearnRates, ...] = ()
    staging: tuple[StageImage | UnstageImage, ...] = ()


# --- commands: the rest ---------------------------------------------------------------------------


class AllocateHost(Command, frozen=True, kw_only=True):
    name: str
    im_mad: str
    vm_mad: str
    cluster_id: int = 0


class SetHostStatus(Command, frozen=True, kw_only=True):
    """one.host.status: 0 enable, 1 disable, 2 offline."""

    host_id: int
    status: int


class AllocateImage(Command, frozen=True, kw_only=True):
    template: Template
    datastore_id: int


class EnableImage(Command, frozen=True, kw_only=True):
    image_id: int
    enable: bool


class SetImagePersistent(Command, frozen=True, kw_only=True):
    image_id: int
    persistent: bool


class AllocateNetwork(Command, frozen=True, kw_only=True):
    template: Template
    cluster_id: int = 0


class AddAddressRange(Command, frozen=True, kw_only=True):
    network_id: int
    template: Template


class RemoveAddressRange(Command, frozen=True, kw_only=True):
    network_id: int
    ar_id: int


class HoldAddress(Command, frozen=True, kw_only=True):
    """Hold an address back from VMs (`held` True) or release it."""

    network_id: int
    address: str
    held: bool


class AllocateTemplate(Command, frozen=True, kw_only=True):
    template: Template


class AllocateDatastore(Command, frozen=True, kw_only=True):
    template: Template
    cluster_id: int = 0


class AllocateCluster(Command, frozen=True, kw_only=True):
    name: str


class AllocateSecurityGroup(Command, frozen=True, kw_only=True):
    template: Template


class AllocateUser(Command, frozen=True, kw_only=True):
    """`password_hash` is made by the service: the core sees no secret."""

    name: str
    password_hash: str
    auth_driver: str
    gids: tuple[int, ...] = ()


class SetPassword(Command, frozen=True, kw_only=True):
    user_id: int
    password_hash: str


class AddToken(Command, frozen=True, kw_only=True):
    user_id: int
    sha256: str
    expires_at: float | None
    egid: int | None = None


class RevokeToken(Command, frozen=True, kw_only=True):
    """`sha256` None revokes all."""

    user_id: int
    sha256: str | None


class Bootstrap(Message, frozen=True, kw_only=True):
    """First start: make OpenNebula's default objects. Ignored when they exist."""

    password_hash: str
    datastore_dir: str
    driver: str
    """ds_mad and tm_mad of the default datastores: `fs` or `sim`."""


# --- events ---------------------------------------------------------------------------------------


class Settled(Message, frozen=True, kw_only=True):
    """A driver answered (or was looked at): the outcome of an action."""

    action: Action
    outcome: Outcome


class DomainSeen(Message, frozen=True, kw_only=True):
    """What a host's inventory says of one VM; `gen` is the VM's when the poll began."""

    vm_id: int
    gen: int
    host_id: int
    state: DomainState
    reason: str | None = None


class HostSeen(Message, frozen=True, kw_only=True):
    """A host answered its monitoring: what it has, and how the VMs on it are."""

    host_id: int
    total: Capacity
    facts: Template
    capabilities: frozenset[str]
    domains: tuple[DomainSeen, ...]


class HostSilent(Message, frozen=True, kw_only=True):
    """A host could not be monitored."""

    host_id: int
    message: str
