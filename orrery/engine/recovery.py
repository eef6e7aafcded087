"""At start-up: every unfinished action is looked at, then finished or repeated; nothing demanded is
missing."""

from orrery.core.decide import outstanding
from orrery.core.model.action import Action
from orrery.engine.view import State
from orrery.ports.store import Batch, Store


async def recover(store: Store, state: State, now: float) -> tuple[Action, ...]:
    """The actions to perform (after a look). An action the state demands but the outbox lacks is
    added first."""
    missing = tuple(outstanding(state, now))
    if missing:
        await store.commit(Batch(put_actions=missing))
        for action in missing:
            state.actions[action.key] = action
    return tuple(state.actions.values())
