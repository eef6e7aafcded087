"""How many examples properties try: few where a developer waits, many under `LEASE_EXAMPLES`."""

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("LEASE_EXAMPLES", "1"))
"""So many times the usual number of examples."""


def examples(count: int) -> settings:
    """The settings of a property that is content with `count` examples."""
    return settings(
        max_examples=count * FACTOR,
        deadline=None,
        derandomize=FACTOR == 1,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
