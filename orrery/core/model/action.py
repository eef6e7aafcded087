"""The outbox: work for drivers that the state demands."""

from enum import Enum

from msgspec import Struct

from orrery.core.model.kinds import Kind


class ActionKind(Enum):
    """Work for drivers. Each has its steps in `engine.steps`."""

    VM_PROLOG = "vm.prolog"
    VM_BOOT = "vm.boot"
    VM_SHUTDOWN = "vm.shutdown"
    VM_DESTROY = "vm.destroy"
    VM_REBOOT = "vm.reboot"
    VM_RESET = "vm.reset"
    VM_SAVE = "vm.save"
    VM_RESTORE = "vm.restore"
    VM_EPILOG = "vm.epilog"
    VM_CLEANUP = "vm.cleanup"
    IMAGE_REGISTER = "image.register"
    IMAGE_DELETE = "image.delete"
    IMAGE_STAGE = "image.stage"
    IMAGE_UNSTAGE = "image.unstage"


class Action(Struct, frozen=True, kw_only=True):
    """One entry of the outbox: at most one is unfinished for each object.

    `gen` is that of the object when the action was demanded; an outcome that comes back for another
    generation is stale and dropped.
    """

    kind: ActionKind
    subject_kind: Kind
    subject_id: int
    gen: int
    due_at: float
    cause: str
    attempt: int = 0
    host_id: int | None = None
    """The host whose limit it counts against and whose drivers perform it."""

    @property
    def key(self) -> tuple[Kind, int]:
        return (self.subject_kind, self.subject_id)
