"""Runs that are kept in the folder of their project: found there by every verb, seen by neither git nor agents."""

import json
import shutil
from pathlib import Path

import pytest
from worlds import PATIENCE, World, eventually

LOCAL = "PRODIGY_USE_LOCAL_STORAGE"
MAP = """
name: tidy
mode: mapreduce
map:
  input: {list: [good, bad]}
  item_id: "${item}"
  retry: {attempts: 1}
  agent_template:
    - shell: 'find . -path ./.git -prune -o -type f -print | sort > "seen-${item}"; test -e "$WELL" -o "${item}" = good'
"""
ROOMS = {"events", "dlq", "state", "sessions", "logs"}


@pytest.fixture
def local(world: World) -> World:
    world.environ[LOCAL] = "yes"
    world.environ["WELL"] = str(world.folder / "well")
    return world


def project(world: World) -> Path:
    return world.repository / ".prodigy"


def elsewhere(world: World) -> World:
    """The same world where runs are kept under home."""
    return World(world.folder, {name: value for name, value in world.environ.items() if name != LOCAL})


def test_a_run_from_its_beginning_to_its_end(local: World) -> None:
    """Its files are the user's alone and invisible; the failed item is found, tried again and merged, then all is cleaned."""
    local.write(".prodigy/config.yml", "log_level: warn\n")
    local.commit()
    assert local.prodigy("run", local.workflow(MAP), "--no-merge").returncode == 0
    assert local.git("status", "--porcelain", "--untracked-files=all") == ""
    assert {path.name for path in project(local).iterdir()} == ROOMS | {"config.yml", "session_state.json"}
    assert {path.name for path in local.home.iterdir()} == {"locks", "run", "worktrees", "repos.json"}
    modes = {path.stat().st_mode & 0o777 for room in ROOMS for path in (project(local) / room).rglob("*")}
    assert modes == {0o700, 0o600}

    [run] = local.json("status")["waiting"]
    assert json.loads((project(local) / "session_state.json").read_bytes())["job_id"] == run["job_id"]
    assert local.json("status", "--all-repos")["waiting"] == [run]
    [letter] = local.json("dlq", "list")["items"]
    assert letter["item_id"] == "bad"
    assert [one["stem"] for one in local.json("sessions", "ls")["sessions"]] == [run["stem"]]
    assert [one["stem"] for one in local.json("events")["jobs"]] == [run["stem"]]
    assert local.json("report", "latest")["run"]["stem"] == run["stem"]

    Path(local.environ["WELL"]).touch()
    retried = local.prodigy("dlq", "retry", "latest", "-y")
    assert retried.returncode == 0, retried.stderr
    seen = local.git("show", "main:seen-good").splitlines()
    assert {path for path in seen if "/.prodigy/" in path} == {"./.prodigy/config.yml"}
    assert local.git("ls-files", ".prodigy") == ".prodigy/config.yml"
    assert local.git("status", "--porcelain", "--untracked-files=all") == ""
    assert local.prodigy("clean", "all", "--older-than", "0s", "--yes").returncode == 0
    assert local.json("events")["jobs"] == []
    left = [path for room in ROOMS for path in (project(local) / room).rglob("*") if path.is_file()]
    assert {path.name for path in left} == {".gitignore"}


def test_a_killed_run_goes_on(local: World) -> None:
    local.environ["GATE"] = str(local.folder / "gate")
    flow = "- shell: 'echo 1 > one'\n- shell: 'touch at; while ! test -e \"$GATE\"; do sleep 0.05; done'\n"
    run = local.start("run", local.workflow(flow), "--no-merge")
    eventually(lambda: list(local.home.glob("worktrees/*/session-*/at")))
    assert [one["pid"] for one in local.json("ps")["runs"]] == [run.pid]
    run.kill()
    run.communicate(timeout=PATIENCE)
    Path(local.environ["GATE"]).touch()
    resumed = local.prodigy("resume", "-y")
    assert resumed.returncode == 0, resumed.stderr
    assert local.git("show", "main:one") == "1"
    [job] = (path for path in (project(local) / "events").iterdir() if path.is_dir())
    journal = "".join(path.read_text() for path in sorted(job.glob("events-*.jsonl")))
    assert journal.count('"event_type":"job_resumed"') == 1


def test_who_looks_in_the_other_place_is_told(local: World) -> None:
    """Both ways; nothing of either is taken over, removed or taken for an orphan."""
    under_home = elsewhere(local)
    flow = local.workflow("- shell: 'echo 1 > one'")
    assert local.prodigy("run", flow, "--no-merge").returncode == 0
    assert under_home.prodigy("run", flow, "--no-merge").returncode == 0
    here, there = local.json("status")["unmerged"], under_home.json("status")["unmerged"]
    assert (len(here), len(there)) == (1, 1)
    for asked, other, value in ((local, there, "false"), (under_home, here, "true")):
        error = asked.json("report", other[0]["stem"])["error"]
        assert error["code"] == "run-not-found"
        assert f"`{LOCAL}={value}`" in error["hint"]
    before = sorted(path for path in project(local).rglob("*"))
    said = under_home.prodigy("sessions", "ls")
    assert "took over" not in said.stderr
    assert sorted(path for path in project(local).rglob("*")) == before
    for world in (local, under_home):
        assert world.json("worktree", "clean-orphaned", "-f")["removed"] == []
    assert local.prodigy("worktree", "merge", here[0]["stem"], "-y").returncode == 0


def test_the_setting_of_a_project(world: World) -> None:
    """For this project and not for another one of the same name; the variable counts before it."""
    world.write(".prodigy/config.yml", "storage: {local: true}\n")
    world.commit()
    flow = world.workflow("- shell: 'echo 1 > one'")
    assert world.prodigy("run", flow, "--no-merge").returncode == 0
    other = world.folder / "other" / "project"
    shutil.copytree(world.repository, other, ignore=shutil.ignore_patterns(".prodigy"))
    assert world.prodigy("run", flow, "--no-merge", "--path", str(other)).returncode == 0
    assert len(world.json("status")["unmerged"]) == 1
    assert [path.name for path in (other / ".prodigy").glob("*")] == []
    assert len(world.json("status", "--path", str(other))["unmerged"]) == 1
    assert [one["repo"] for one in world.json("status", "--all-repos")["unmerged"]] == ["project"]
    world.environ[LOCAL] = "0"
    assert world.json("status")["unmerged"] == []


def test_what_was_in_the_folder_before_stays_as_it_was(local: World) -> None:
    """Older data and the user's own; what is not hidden by a file of ours is hidden by git's own excludes."""
    old = local.write(".prodigy/events/mapreduce-old/events.jsonl", "{}\n")
    mine = local.write(".prodigy/session_state.json", "{}\n")
    local.commit()
    (local.repository / ".git/info/exclude").write_text("*.mine")
    assert local.prodigy("run", local.workflow("- shell: 'echo 1 > one'"), "--no-merge").returncode == 0
    assert (old.read_text(), mine.read_text()) == ("{}\n", "{}\n")
    assert local.git("status", "--porcelain", "--untracked-files=all") == ""
    assert not (project(local) / "events" / ".gitignore").exists()
    excluded = (local.repository / ".git/info/exclude").read_text().splitlines()
    assert excluded == ["*.mine", "/.prodigy/session_state.json", "/.prodigy/events/"]
    assert local.prodigy("run", local.workflow("- shell: 'echo 2 > one'"), "--no-merge").returncode == 0
    assert (local.repository / ".git/info/exclude").read_text().splitlines() == excluded
    older = elsewhere(local).prodigy("sessions", "ls")
    assert "took over 2 files" in older.stderr, "the older ones and no others"


def test_no_worktree_gets_a_copy_of_it(local: World) -> None:
    """Not even where everything that git ignores is to be included."""
    local.write(".gitignore", "*.secret\n")
    local.commit()
    local.write("key.secret", "k")
    flow = "worktree: {include: ['*']}\ncommands:\n- shell: 'find . -type f -not -name .git > \"$SEEN\"'\n"
    local.environ["SEEN"] = str(local.folder / "seen")
    for _ in range(2):
        done = local.prodigy("run", local.workflow(f"name: x\n{flow}"), "--no-merge")
        assert done.returncode == 0, done.stderr
    seen = Path(local.environ["SEEN"]).read_text()
    assert "./key.secret" in seen
    assert ".prodigy" not in seen


def test_a_value_that_is_neither_true_nor_false(world: World) -> None:
    world.environ[LOCAL] = "perhaps"
    error = world.json("status")["error"]
    assert (error["code"], LOCAL in error["message"]) == ("bad-value", True)
    assert not project(world).exists()
