"""Folders aside: they last as long as their block, and no longer than until somebody looks after their user's death."""

import os
import signal
import subprocess
import sys
import threading
from errno import ENOSPC
from pathlib import Path

import pytest

from prodigy.errors import RunError
from prodigy.git.aside import folder_aside, remove_forsaken
from prodigy.git.attributes import attribute_folder

HOLDER = """
import sys, time
from pathlib import Path
from prodigy.git.aside import folder_aside
with folder_aside(sys.argv[1]) as folder:
    Path(folder, "sub").mkdir()
    Path(folder, "sub/index").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


def holder(parent: Path) -> tuple["subprocess.Popen[str]", Path]:
    """A process that uses a folder aside, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_private_and_gone_with_its_block(tmp_path):
    with folder_aside(str(tmp_path)) as folder:
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        assert list(Path(folder).iterdir()) == []
        Path(folder, "index").touch()
    with pytest.raises(ZeroDivisionError), folder_aside(str(tmp_path)):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_use_stays_and_what_a_killed_process_left_goes(tmp_path):
    process, folder = holder(tmp_path)
    with process:
        remove_forsaken(str(tmp_path))
        assert (folder / "sub/index").exists()
        process.send_signal(signal.SIGKILL)
    assert (folder / "sub/index").exists()
    remove_forsaken(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_whoever_dies_before_there_is_a_folder_leaves_nothing(tmp_path):
    with folder_aside(str(tmp_path)) as folder:
        name = Path(folder).name
    (tmp_path / f"{name}.held").touch()
    remove_forsaken(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_has_no_lock_is_somebody_elses(tmp_path):
    kept = tmp_path / "prodigy-aside-kept"
    kept.mkdir()
    (tmp_path / "prodigy-other.held").touch()
    remove_forsaken(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prodigy-aside-kept", "prodigy-other.held"]


def test_a_link_leads_nowhere(tmp_path):
    """In a folder for everybody somebody else may have made what bears such a name."""
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "gold").touch()
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "prodigy-aside-a").symlink_to(treasure)
    (shared / "prodigy-aside-a.held").touch()
    (shared / "prodigy-aside-b.held").symlink_to(treasure / "gold")
    remove_forsaken(str(shared))
    assert (treasure / "gold").exists()


def test_nobody_loses_a_folder_to_whoever_tidies_up(tmp_path):
    """Between its name and its lock a folder looks forsaken; then its user takes another."""
    ready = threading.Event()

    def tidy() -> None:
        while not ready.is_set():
            remove_forsaken(str(tmp_path))

    tidying = threading.Thread(target=tidy)
    tidying.start()
    try:
        for _ in range(300):
            with folder_aside(str(tmp_path)) as folder:
                Path(folder, "index").write_text("")
                assert [path.name for path in Path(folder).iterdir()] == ["index"]
    finally:
        ready.set()
        tidying.join()
    assert list(tmp_path.iterdir()) == []


def test_where_none_can_be_made_that_is_said(tmp_path):
    with pytest.raises(RunError, match=r"no folder can be made in .*gone: No such file") as caught:
        folder_aside(str(tmp_path / "gone")).__enter__()
    assert caught.value.code == "worktree-error"


def test_a_disk_that_is_full_keeps_no_lock(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(RunError, match="No space left on device"):
        folder_aside(str(tmp_path)).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_attribute_files_that_cannot_be_written(tmp_path):
    """One may lie where another one wants a folder."""
    files = {b"a/.gitattributes": b"", b"a/.gitattributes/.gitattributes": b""}
    with pytest.raises(RunError, match="attribute files cannot be written"):
        attribute_folder(str(tmp_path), files).__enter__()
    assert list(tmp_path.iterdir()) == []
