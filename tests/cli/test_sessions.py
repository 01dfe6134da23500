"""``prodigy sessions`` and ``prodigy status --watch``."""

import json
from typing import Any

import pytest
from stories import OTHER, START, STEM, Write, half, whole, write_journal

from prodigy import ids
from prodigy.paths import Layout
from prodigy.store.locks import JobLock, start_time
from prodigy.store.repos import register


def test_sessions_are_listed_newest_first(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    write(OTHER, half(OTHER, "fix"))
    said = desk.call("sessions", "ls")
    assert (said.code, said.err) == (0, "")
    rows = [line.split() for line in said.out.splitlines()]
    assert [row[:2] for row in rows[1:]] == [
        [f"session-mapreduce-{STEM}", "completed"],
        [f"session-mapreduce-{OTHER}", "interrupted"],
    ]
    assert desk.call("sessions", "list").out == said.out


@pytest.mark.parametrize(
    ("words", "stems"),
    [
        (["--status", "completed"], [STEM]),
        (["--status", "failed"], []),
        (["--resumable"], [OTHER]),
        (["--limit", "1"], [STEM]),
        (["--limit", "0"], [STEM, OTHER]),
        (["--all-repos"], [STEM, OTHER]),
    ],
)
def test_sessions_are_chosen(desk: Any, write: Write, words: list[str], stems: list[str]) -> None:
    write(STEM, whole(STEM, "lint-files"))
    write(OTHER, half(OTHER, "fix"))
    document = json.loads(desk.call("sessions", "ls", *words, "--json").out)
    assert document["schema"] == "prodigy.sessions/1"
    assert [run["stem"] for run in document["sessions"]] == stems
    assert document["shown"] == len(stems)
    assert document["total"] == (2 if words[0] == "--limit" else len(stems))


def test_a_session_whole(desk: Any, write: Write) -> None:
    write(OTHER, half(OTHER, "fix"))
    said = desk.call("sessions", "show", "latest")
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    assert document["schema"] == "prodigy.session/1"
    assert (document["run"]["status"], document["state"]["status"]) == ("interrupted", "Interrupted")
    assert document["state"]["journal"]["seq"] == len(half(OTHER, "fix"))
    assert (document["holder"], document["worktree"]) == (None, None)
    assert document["next"] == "prodigy resume h8w1zz"


def test_a_session_lives_as_long_as_its_lock_is_held(desk: Any, write: Write) -> None:
    """Told is the process that holds it, by all that names it; a file that says otherwise changes nothing."""
    write(OTHER, half(OTHER, "fix"))
    layout = Layout(desk.home, "here")
    with JobLock.acquire(layout.job_lock(ids.job_id(ids.Stem(OTHER), "mapreduce")), since=START):
        document = json.loads(desk.call("sessions", "show", "h8w1zz", "--json").out)
        assert document["run"]["status"] == "running"
        assert document["holder"]["start_time"] == start_time(document["holder"]["pid"])
        assert document["holder"]["boot_id"]
    assert json.loads(desk.call("sessions", "show", "h8w1zz").out)["run"]["status"] == "interrupted"


def test_a_session_on_a_terminal(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    desk.tty = True
    desk.environ["NO_COLOR"] = "1"
    said = desk.call("sessions", "show", "k7m")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == f"session-mapreduce-{STEM}  completed  1h ago"
    assert "  items     1 done, 1 failed, 0 skipped, 0 left of 2" in lines
    assert lines[-1] == "  next: prodigy worktree merge k7m2pq"


# -- watching ------------------------------------------------------------------------------------------------------
class Sleeper:
    """Sleeps by letting something happen; after the last of it comes Ctrl-C."""

    def __init__(self, *happenings: Any) -> None:
        self.happenings = list(happenings)
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self.happenings:
            raise KeyboardInterrupt
        self.happenings.pop(0)()


def test_watching_shows_what_has_become_of_runs(desk: Any, write: Write) -> None:
    desk.sleep = Sleeper(lambda: write(OTHER, half(OTHER, "fix")))
    said = desk.call("status", "--watch")
    assert (said.code, desk.sleep.slept) == (130, [2.0, 2.0])
    first, second = said.out.split("\n\n")
    assert first == "Nothing runs, waits or is left to merge"
    assert second.startswith("RESUMABLE  h8w1zz  fix")


def test_watching_begins_before_anything_ran(desk: Any) -> None:
    """The repository gets its name with its first run, which is seen."""
    git = desk.directory / ".git"
    (git / "objects").mkdir(parents=True)
    (git / "refs").mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")

    def run() -> None:
        register(desk.home, git, worktree=desk.directory, root_commits=(), now=START)
        write_journal(desk.home, OTHER, half(OTHER, "fix"))

    desk.sleep = Sleeper(run)
    assert "h8w1zz" in desk.call("status", "--watch").out


def test_watching_on_a_terminal_is_in_place(desk: Any, write: Write) -> None:
    """Back over the lines of the last look; long lines take one each; in the end the terminal is as it was."""
    desk.tty = True
    desk.environ["NO_COLOR"] = "1"
    write(OTHER, half(OTHER, "fix"))
    desk.sleep = Sleeper(lambda: None)
    said = desk.call("status", "--watch", "5m")
    assert desk.sleep.slept == [300.0, 300.0]
    start, first, second = said.out.replace("\x1b[?7h", "").split("RESUMABLE")
    assert start == "\x1b[?7l"
    assert first.endswith("\n\x1b[1F\x1b[0J")
    assert second == first.removesuffix("\x1b[1F\x1b[0J")
    assert said.out.endswith("\x1b[?7h")


def test_watching_as_a_stream_is_a_document_each_time(desk: Any, write: Write) -> None:
    desk.sleep = Sleeper(lambda: write(OTHER, half(OTHER, "fix")))
    said = desk.call("status", "--watch", "--jsonl")
    assert [len(json.loads(line)["resumable"]) for line in said.out.splitlines()] == [0, 1]


def test_watching_is_no_single_document(desk: Any, write: Write) -> None:
    said = desk.call("status", "--watch", "--json")
    assert (said.code, json.loads(said.out)["error"]["code"]) == (2, "conflicting-flags")
