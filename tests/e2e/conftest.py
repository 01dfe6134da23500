"""A user's world, made anew for each test."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from once import Once, shared_folder
from worlds import World, made_world, pids_with


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    return Once(shared_folder(tmp_path_factory.getbasetemp()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A repository with one commit on `main`, and a home with no git identity."""
    return made_world(tmp_path)


@pytest.fixture
def tag(tmp_path: Path) -> Iterator[str]:
    """A word for command lines that no other process has; whatever still carries it afterwards is a failure."""
    word = f"tag-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]}"
    yield word
    left = pids_with(word)
    for pid in left:
        os.kill(pid, 9)
    assert not left, f"left running: {left}"
