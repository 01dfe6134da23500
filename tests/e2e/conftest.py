"""A user's world, made anew for each test."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from worlds import World, pids_with


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A repository with one commit on `main`, and a home with no git identity."""
    user = tmp_path / "user"
    user.mkdir()
    kept = {"PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_START"}
    environ = {name: value for name, value in os.environ.items() if name in kept}
    environ |= {
        "HOME": str(user),
        "PRODIGY_HOME": str(tmp_path / "home"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@localhost",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@localhost",
    }
    made = World(tmp_path, environ)
    made.repository.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    made.write("README.md", "# Project\n")
    made.commit("first")
    for name in [name for name in environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        del environ[name]
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@localhost")
    return made


@pytest.fixture
def tag(tmp_path: Path) -> Iterator[str]:
    """A word for command lines that no other process has; whatever still carries it afterwards is a failure."""
    word = f"tag-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]}"
    yield word
    left = pids_with(word)
    for pid in left:
        os.kill(pid, 9)
    assert not left, f"left running: {left}"
