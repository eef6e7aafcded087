"""A storage on a directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orrery.drivers.storage.files import FileStorage


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[FileStorage]:
    storage = FileStorage((tmp_path / "ds",))
    yield storage
    storage.close()


@pytest.fixture
def ds(tmp_path: Path) -> Path:
    return tmp_path / "ds"
