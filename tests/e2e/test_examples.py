"""Every example runs, as its comments say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import PATIENCE, World

EXAMPLES = Path(__file__).parents[2] / "examples"
FAKE = Path(__file__).parents[1] / "fakes/claude"

SCRIPTED = """#!{python}
import json, os, sys
*flags, prompt = sys.argv[1:]
acts = [line for said, line in json.loads({rules!r}) if said in prompt]
os.execv({fake!r}, [{fake!r}, *flags, "\\n".join([prompt, *acts[:1]])])
"""


def script_claude(world: World, *rules: tuple[str, str]) -> Path:
    """Put a Claude into the world's path that does what the first fitting rule says; the log of its launches.

    A rule is a part of the prompt, and a line in the words of the fake.
    """
    program = world.folder / "bin/claude"
    program.parent.mkdir()
    program.write_text(SCRIPTED.format(python=sys.executable, rules=json.dumps(rules), fake=str(FAKE)))
    program.chmod(0o755)
    log = world.folder / "launches"
    world.environ["PATH"] = f"{program.parent}:{world.environ['PATH']}"
    world.environ |= {"FAKE_CLAUDE_LOG": str(log), "CLAUDE_CONFIG_DIR": str(world.folder / "claude")}
    return log


def run(world: World, example: str, **parameters: str) -> None:
    given = [word for name, value in parameters.items() for word in ("--param", f"{name}={value}")]
    done = world.prodigy("run", str(EXAMPLES / example), "-y", *given)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.name)
def test_every_example_is_valid(world: World, example: Path) -> None:
    done = world.prodigy("validate", str(example), "--strict")
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


def test_rehearsal_of_each_file(world: World) -> None:
    """What the check refuses is repaired by the second launch; no Claude is there."""
    world.write("src/odd.py", "x = 1\n")
    world.write("src/even.py", "y = 2\n")
    world.commit()
    values = {"files": "src/*.py", "task": "Add a comment.", "check": 'python3 -m py_compile "$1"'}
    given = [word for name, value in values.items() for word in ("--param", f"{name}={value}")]
    play = str(EXAMPLES / "rehearsals/each-file.yml")
    done = world.prodigy("run", str(EXAMPLES / "each-file.yml"), "--script", play, "-y", *given)
    assert done.returncode == 0, done.stderr
    assert (world.repository / "src/odd.py").read_text() == "x = 1\n# looked at twice\n"
    assert (world.repository / "src/even.py").read_text() == "y = 2\n# looked at by an agent\n"
    assert json.loads((world.repository / "reports/each-file.json").read_text())["failed"] == 0


def test_check_links(world: World) -> None:
    world.write("docs/good.md", "[home](../README.md#top) and [the web](https://example.org)\n")
    world.write("docs/two words.md", "[there](good.md 'a title'), [gone](gone.md)\n")
    world.write("vendor/x.md", "[gone](gone.md)\n")
    world.commit()
    run(world, "check-links.yml")
    assert json.loads((world.repository / "reports/links.json").read_text()) == {
        "pages": 3,
        "good": 2,
        "bad": 1,
    }
    [item] = world.json("dlq", "show", "latest")["items"]
    assert item["failure_history"][0]["stderr_tail"] == "docs/two words.md: gone.md\n"


def test_each_file(world: World) -> None:
    """What the check refuses is repaired; what stays refused waits in the queue."""
    for name in ("a.py", "b c.py", "d.py"):
        world.write(name, "x = 1\n")
    world.commit()
    log = script_claude(
        world,
        ("check of the file b c.py", "/sh sed -i s/broken/fine/ 'b c.py'"),
        ("the file b c.py", "/sh echo '# broken' >> 'b c.py'"),
        ("check of the file d.py", "/say I cannot"),
        ("the file d.py", "/sh echo '# broken' >> d.py"),
        ("the file a.py", "/sh echo '# fine' >> a.py"),
    )
    run(world, "each-file.yml", files="*.py", task="Add a comment.", check='! grep -q broken "$1"')
    assert (world.repository / "a.py").read_text() == "x = 1\n# fine\n"
    assert (world.repository / "b c.py").read_text() == "x = 1\n# fine\n"
    assert (world.repository / "d.py").read_text() == "x = 1\n"
    report = json.loads((world.repository / "reports/each-file.json").read_text())
    assert (report["task"], report["done"], report["failed"]) == ("Add a comment.", 2, 1)
    launches = [json.loads(line) for line in log.read_text().splitlines()]
    assert all("Add a comment." in each["prompt"] for each in launches if "Work on" in each["prompt"])


def test_raise_score(world: World) -> None:
    log = script_claude(world, ("The goal", "/sh echo point >> points.txt"))
    world.write("points.txt", "point\n")
    world.commit()
    measure = 'echo "$(grep -c point points.txt) of 4 is $(( $(grep -c point points.txt) * 25 ))%"'
    run(world, "raise-score.yml", goal="more points", measure=measure, enough="70")
    assert (world.repository / "points.txt").read_text() == "point\n" * 3
    prompts = [json.loads(line)["prompt"] for line in log.read_text().splitlines()]
    assert ["Now at 25 of 70 points" in prompts[0], "Now at 50 of 70 points" in prompts[1]] == [True, True]
    assert len(prompts) == 2
    assert not (world.repository / ".prodigy").exists()


def test_release_notes(world: World) -> None:
    world.git("tag", "-a", "1.0.0", "-m", "1.0.0")
    world.write("feature.txt", "x\n")
    world.commit("A feature for you")
    log = script_claude(
        world,
        ("Write the file", "/sh mkdir -p notes; echo '# wrong' > notes/1.1.0.md"),
        ("Repair it", "/sh printf '# 1.1.0\\n\\n- A feature for you\\n' > notes/1.1.0.md"),
    )
    run(world, "release-notes.yml", version="1.1.0")
    assert (world.repository / "notes/1.1.0.md").read_text() == "# 1.1.0\n\n- A feature for you\n"
    first = json.loads(log.read_text().splitlines()[0])["prompt"]
    assert "- A feature for you" in first
    assert "- first" not in first


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
    assert demo.wait(timeout=PATIENCE) == 0, said
    assert killed, said
    assert "was lost" in said
    assert "44 done, 1 in DLQ" in said or "done, 1 in DLQ" in said
    assert "The checkout is clean" in said
