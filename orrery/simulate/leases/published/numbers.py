"""What the experiment of HPDC 2008 came to: as published, and by a port of Haizea 1.1 to Python 3
on the same files. Facts only.
"""

from collections.abc import Mapping
from typing import NamedTuple

PUBLISHED_BASELINE_S = 2_674_265
PORT_BASELINE_S = 2_668_402


class Row(NamedTuple):
    """One configuration under one load of reservations (3 h, 25 to 48 nodes)."""

    completion: float
    """Percent by which completion of all best-effort leases is later than the baseline."""
    wait_ks: float
    """Mean, in 1000 s."""
    slowdown: float
    """Mean, bounded."""
    accepted: int | None = None
    """Reservations."""
    suspensions: int | None = None


Key = tuple[str, int]
"""(configuration, load in percent)"""

PUBLISHED: Mapping[Key, Row] = {
    ("NOVM-NOSR", 10): Row(3.91, 16.91, 60.48),
    ("NOVM-NOSR", 20): Row(8.66, 23.91, 71.80),
    ("NOVM-NOSR", 30): Row(23.93, 68.95, 296.74),
    ("NOVM-SR", 10): Row(-0.76, 6.18, 31.05),
    ("NOVM-SR", 20): Row(0.10, 8.14, 49.56),
    ("NOVM-SR", 30): Row(4.14, 14.84, 134.91),
    ("VM-PREDEPLOY", 10): Row(-0.27, 8.05, 39.60),
    ("VM-PREDEPLOY", 20): Row(1.58, 12.17, 62.45),
    ("VM-PREDEPLOY", 30): Row(7.19, 22.89, 133.59),
    ("VM-MULT", 10): Row(0.60, 15.69, 91.94),
    ("VM-MULT", 20): Row(3.95, 34.56, 203.39),
    ("VM-MULT", 30): Row(12.21, 78.83, 441.10),
    ("VM-REUSE-UNIFORM", 10): Row(0.03, 12.31, 62.24),
    ("VM-REUSE-UNIFORM", 20): Row(3.15, 25.68, 140.42),
    ("VM-REUSE-UNIFORM", 30): Row(10.74, 62.52, 338.60),
    ("VM-REUSE-SKEWED", 10): Row(-0.36, 10.69, 50.46),
    ("VM-REUSE-SKEWED", 20): Row(2.48, 22.85, 115.99),
    ("VM-REUSE-SKEWED", 30): Row(10.43, 58.44, 309.67),
}

PORT: Mapping[Key, Row] = {
    ("NOVM-NOSR", 0): Row(0.0, 4.71, 20.47),
    ("NOVM-SR", 0): Row(-0.67, 4.18, 17.33, None, 455),
    ("NOVM-NOSR", 10): Row(4.80, 17.86, 67.36, 93, 0),
    ("NOVM-SR", 10): Row(-0.38, 6.26, 27.77, 94, 1306),
    ("VM-PREDEPLOY", 10): Row(0.17, 7.40, 26.11, 94, 1780),
    ("NOVM-NOSR", 20): Row(11.72, 35.80, 129.23, 186, 0),
    ("NOVM-SR", 20): Row(0.80, 10.58, 46.85, 190, 2483),
    ("VM-PREDEPLOY", 20): Row(0.81, 13.80, 47.28, 188, 2737),
    ("NOVM-SR", 30): Row(4.98, 21.41, 110.90, 282, 3573),
    ("VM-PREDEPLOY", 30): Row(6.93, 30.89, 117.76, 280, 4502),
}
