"""The real Claude CLI, of the pinned version, against a Messages API of ours.

`make test-claude` installs it; without it everything here is skipped. Nothing here reaches beyond loopback.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from claude.pinned import CLI, environment
from fakes.messages_api import MessagesApi
from worlds import World, made_world, pids_with


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and not CLI.exists():
            item.add_marker(pytest.mark.skip(reason="the Claude CLI is not installed: `make test-claude`"))


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, api: MessagesApi) -> World:
    """A user's world with the CLI in it; the user's environment leads to the fake API and nowhere else."""
    made = made_world(tmp_path)
    (tmp_path / "tmp").mkdir()
    made.environ |= environment(tmp_path, api.url, made.environ["PATH"])
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
