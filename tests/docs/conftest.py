"""Makes this folder's plain module importable, and a user's world for the examples that are run."""

import sys
from pathlib import Path

import pytest
from worlds import World, made_world

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A repository with two pages on `main`, and an empty home."""
    made = made_world(tmp_path)
    made.write("docs/two words.md", "text\n")
    made.commit("a page")
    return made
