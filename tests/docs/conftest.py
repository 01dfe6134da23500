"""Makes this folder's plain module importable, and a user's world for the examples that are run."""

import os
import sys
from pathlib import Path

import pytest
from worlds import World

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A repository with two pages on `main`, and an empty home."""
    user = tmp_path / "user"
    user.mkdir()
    kept = {"PATH", "LANG", "LC_ALL", "TMPDIR"}
    environ = {name: value for name, value in os.environ.items() if name in kept}
    environ |= {"HOME": str(user), "PRODIGY_HOME": str(tmp_path / "home"), "GIT_CONFIG_NOSYSTEM": "1"}
    made = World(tmp_path, environ)
    made.repository.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@localhost")
    made.write("README.md", "# Project\n")
    made.write("docs/two words.md", "text\n")
    made.commit("first")
    return made
