"""A disk that fills up in the middle of a run: what is under way is recorded, nothing begins, and the run can go on."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from worlds import PATIENCE, World, eventually

ITEMS = ("a", "b", "c", "d")
SIZE = 48 * 1024 * 1024


@pytest.fixture
def small(world: World) -> Iterator[World]:
    """A world whose home is a file system of its own, and a small one."""
    home = world.folder / "small"
    home.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield replace(world, environ=world.environ | {"PRODIGY_HOME": str(home / "home")})
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def flow(outside: Path, *, late: bool) -> str:
    """Two steps an item, each telling outside that it ran; the first waits, and writes before that, or after it."""
    write = 'echo "${item}" > "${item}.txt"'
    before, after = (":", write) if late else (write, ":")
    return f"""
grace: 300ms
mode: mapreduce
map:
  input: {{list: [{", ".join(ITEMS)}]}}
  max_parallel: 2
  item_id: "${{item}}"
  agent_template:
    - shell: |
        echo "one-${{item}}" >> "{outside}/log"
        {before}
        touch "{outside}/at-${{item}}"
        while [ -e "{outside}/hold" ]; do sleep 0.02; done
        {after}
    - shell: echo "two-${{item}}" >> "{outside}/log"
reduce:
  - shell: echo reduced >> "{outside}/log"
"""


def fill(home: Path) -> Path:
    """Take all the room that is left, to the last byte."""
    ballast = home / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    assert os.statvfs(home).f_bavail == 0
    return ballast


@pytest.mark.parametrize("late", [False, True], ids=["the step ends well", "the step fails for want of room"])
def test_a_run_on_a_full_disk_comes_to_rest_and_loses_nothing(
    small: World, tmp_path: Path, *, late: bool
) -> None:
    """What succeeded is recorded and not done again; what failed on a full disk is, and no item pays for it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "hold").touch()
    home = Path(small.environ["PRODIGY_HOME"])
    running = small.start("run", small.workflow(flow(outside, late=late)), "-y")
    eventually(lambda: len([*outside.glob("at-*")]) == 2)
    ballast = fill(home.parent)
    (outside / "hold").unlink()
    _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert "storage-full" in said
    begun = Counter((outside / "log").read_text().split())
    assert begun == {"one-a": 1, "one-b": 1}, "nothing began after the disk was full"
    recorded = [json.loads(line)["event"]["event_type"] for line in lines(home)]
    assert recorded.count("step_completed") == (0 if late else 2)
    assert recorded[-1] == "job_paused"
    assert small.git("log", "--format=%s", "main") == "first"

    refused = small.prodigy("resume", "-y")
    assert refused.returncode == 1
    assert "storage-full" in refused.stderr

    ballast.unlink()
    resumed = small.prodigy("resume", "-y")
    assert resumed.returncode == 0, resumed.stderr
    expected = {f"{step}-{item}": 1 for item in ITEMS for step in ("one", "two")} | {"reduced": 1}
    again = {"one-a": 2, "one-b": 2} if late else {}
    assert Counter((outside / "log").read_text().split()) == expected | again
    assert small.git("ls-tree", "--name-only", "main").split() == ["README.md", *(f"{i}.txt" for i in ITEMS)]


def lines(home: Path) -> list[str]:
    """Of the only journal."""
    (path,) = home.glob("events/*/*/events-*.jsonl")
    return path.read_text().splitlines()
