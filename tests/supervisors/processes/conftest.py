"""Makes this folder's plain modules importable: here, and in the workers that the tests start."""

import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

from process_table import Family  # noqa: E402 - needs the path above


@pytest.fixture
def family() -> Family:
    """Processes of one test, known by a number in their arguments that no other test uses."""
    return Family.new()


@pytest.fixture
def other_family() -> Family:
    """A second family, for tests about not touching it."""
    return Family.new()
