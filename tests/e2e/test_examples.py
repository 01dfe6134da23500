"""Every example runs, as its comments say."""

import subprocess
import sys
from pathlib import Path

import pytest
from worlds import World

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.name)
def test_every_example_is_valid(world: World, example: Path) -> None:
    done = world.prodigy("run", str(example), "--dry-run")
    assert done.returncode == 0, done.stderr


def test_hello(world: World) -> None:
    assert world.prodigy("run", str(EXAMPLES / "hello.yml"), "-y").returncode == 0
    assert (world.repository / "hello.txt").read_text().startswith("Hello from session-")


def test_repair(world: World) -> None:
    done = world.prodigy("run", str(EXAMPLES / "repair.yml"), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "settings/app.ini").read_text() == "retries = 3\n"
    assert "no optional settings" in "".join(
        event.get("stdout", {}).get("tail", "") for event in world.events("step_completed")
    )


def test_license_headers(world: World) -> None:
    world.write("good.py", "print('hello')\n")
    world.write("tools/run.py", "#!/usr/bin/env python3\nprint('run')\n")
    world.write("odd name.py", "x = 1\n")
    world.write("old.py", "print 'no'\n")
    world.commit()
    done = world.prodigy("run", str(EXAMPLES / "license-headers.yml"), "-y")
    assert done.returncode == 0, done.stderr
    header = "# SPDX-License-Identifier: PSF-2.0\n"
    assert (world.repository / "good.py").read_text() == f"{header}print('hello')\n"
    assert (world.repository / "odd name.py").read_text() == f"{header}x = 1\n"
    assert (world.repository / "tools/run.py").read_text().startswith(f"#!/usr/bin/env python3\n{header}")
    assert (world.repository / "old.py").read_text() == "print 'no'\n"
    assert "3 of 4 files" in (world.repository / "LICENSE-HEADERS.md").read_text()
    assert [item["item_id"] for item in world.json("dlq", "list")["items"]] == ["old.py"]


def test_the_demo_survives_a_killed_worker(tmp_path: Path) -> None:
    """`make demo`, with an empty home and no git identity, while one of its workers is killed."""
    environ = {"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin", "HOME": str(tmp_path)}
    environ |= {"TMPDIR": str(tmp_path), "LANG": "C.UTF-8"}
    demo = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "demo.py")],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert demo.stdout is not None
    seen, killed = [], False
    with demo.stdout:
        for line in demo.stdout:
            seen.append(line)
            if line.startswith("worker 1, pid ") and not killed:
                killed = True
                subprocess.run(["kill", "-9", line.rsplit(" ", 1)[1].strip()], check=True)
    said = "".join(seen)
    assert demo.wait(timeout=60) == 0, said
    assert killed, said
    assert "was lost" in said
    assert "44 done, 1 in DLQ" in said or "done, 1 in DLQ" in said
    assert "The checkout is clean" in said
