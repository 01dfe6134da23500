"""The reading verbs over a home with known runs."""

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from stories import NASTY, OTHER, START, STEM, Write, half, whole

from prodigy import events, ids
from prodigy.cli.appearance import appearance
from prodigy.cli.configured import Sources
from prodigy.cli.options import Options
from prodigy.cli.printer import Level
from prodigy.paths import Layout
from prodigy.store.locks import JobLock


# -- status --------------------------------------------------------------------------------------------------------
def test_nothing_to_tell_is_one_line(desk: Any, write: Write) -> None:
    said = desk.call("status")
    assert (said.code, said.out, said.err) == (0, "Nothing runs, waits or is left to merge\n", "")


def test_status_says_what_each_run_asks_for(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    write(OTHER, half(OTHER, "fix"))
    said = desk.call("status")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "RESUMABLE  h8w1zz  fix         interrupted in map 1/2, 1h ago    prodigy resume h8w1zz\n"
        "WAITING    k7m2pq  lint-files  1 item in DLQ                     prodigy dlq retry k7m2pq\n"
        "UNMERGED   k7m2pq  lint-files  1 commit for main, 1h ago         prodigy worktree merge k7m2pq\n"
    )


def test_status_as_a_document(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("status", "--json")
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    assert document["schema"] == "prodigy.status/1"
    assert [len(document[name]) for name in ("running", "resumable", "waiting", "unmerged")] == [0, 0, 1, 1]
    assert document["unmerged"][0]["job_id"] == f"mapreduce-{STEM}"


def test_status_needs_a_repository_unless_it_is_about_all(desk: Any) -> None:
    said = desk.call("status")
    assert said.code == 2
    assert said.err.startswith("error: not-a-git-repository\n")
    assert desk.call("status", "--all-repos").code == 0


def test_a_repository_is_found_from_a_folder_inside_and_by_path(
    desk: Any, write: Write, tmp_path: Path
) -> None:
    write(STEM, whole(STEM, "lint-files"))
    home = desk.directory
    inside = home / "deep" / "folder"
    inside.mkdir(parents=True)
    desk.directory = inside
    assert "k7m2pq" in desk.call("status").out
    desk.directory = tmp_path
    assert "k7m2pq" in desk.call("status", "-p", "here").out
    assert "k7m2pq" in desk.call("-p", str(home), "status").out


def test_a_linked_worktree_belongs_to_its_repository(desk: Any, write: Write, tmp_path: Path) -> None:
    write(STEM, whole(STEM, "lint-files"))
    linked = tmp_path / "linked"
    own = desk.directory / ".git" / "worktrees" / "linked"
    own.mkdir(parents=True)
    linked.mkdir()
    (own / "commondir").write_text("../..\n")
    (linked / ".git").write_text(f"gitdir: {own}\n")
    desk.directory = linked
    assert "k7m2pq" in desk.call("status").out


# -- dead letters --------------------------------------------------------------------------------------------------
def test_dlq_list(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("dlq", "list")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "item             run     fails  last    class           message\n"
        "src/\\x1b[2Jb.py  k7m2pq      1  1h ago  command-failed  Exited with 1\n"
    )
    assert desk.call("dlq", "ls", "k7").code == 2
    assert desk.call("dlq", "ls", "k7m").out == said.out
    assert desk.call("dlq", "ls", "--class", "timeout").out == "No item is in the dead letter queue\n"


def test_dlq_list_as_a_document(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    document = json.loads(desk.call("dlq", "list", "--json").out)
    assert (document["schema"], document["total"], document["shown"]) == ("prodigy.dlq-list/1", 1, 1)


def test_dlq_show_is_a_document_in_a_pipe(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    piped = desk.call("dlq", "show", "latest")
    assert piped.code == 0
    assert piped.out == desk.call("dlq", "show", "k7m2pq", "--json").out
    document = json.loads(piped.out)
    assert document["schema"] == "prodigy.dlq/1"
    assert document["items"][0]["failure_history"][0]["stderr_tail"] == "no frob\n"


def test_how_it_looks_is_configured(desk: Any, write: Write) -> None:
    """By files, over them by the environment, over all by flags."""
    write(STEM, whole(STEM, "lint-files"))
    desk.tty = True
    desk.home.mkdir(exist_ok=True)
    config = desk.home / "config.yml"
    assert "\x1b[" in desk.call("status").out
    config.write_text("ui: {color: never, unicode: never}\n")
    assert "\x1b[" not in desk.call("status").out
    assert "\x1b[" in desk.call("status", "--color", "always").out
    desk.environ["PRODIGY__UI__COLOR"] = "always"
    desk.environ["NO_COLOR"] = "1"
    assert "\x1b[" in desk.call("status").out
    config.write_text("ui: {color: always}\n")
    del desk.environ["PRODIGY__UI__COLOR"]
    assert "\x1b[" not in desk.call("status").out, "the environment counts before a file"


def test_how_much_is_said_is_configured(desk: Any) -> None:
    levels = []
    cases: tuple[tuple[dict[str, str], tuple[str, ...]], ...] = (
        ({}, ()),
        ({"PRODIGY_LOG_LEVEL": "error"}, ()),
        ({"PRODIGY_LOG_LEVEL": "error", "PRODIGY__LOG_LEVEL": "debug"}, ()),
        ({"PRODIGY_LOG_LEVEL": "debug"}, ("-v",)),
        ({"PRODIGY_LOG_LEVEL": "debug"}, ("-q",)),
    )
    for environ, flags in cases:
        options = Options(verbose=flags.count("-v"), quiet="-q" in flags)
        sources = Sources(lambda: (), environ)
        levels.append(appearance(options, sources, environ).level)
    assert levels == [Level.NORMAL, Level.QUIET, Level.OUTPUT, Level.OUTPUT, Level.QUIET]


def test_what_is_wrong_with_the_configuration_keeps_nobody_from_reading(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    (desk.home / "config.yml").write_text("ui: {color: purple}\nlog_level: loud\n")
    assert desk.call("status").code == 0


def test_variables_of_older_programs_are_named(desk: Any) -> None:
    desk.environ["PRODIGY_TEST_MODE"] = "1"
    said = desk.call("config", "validate")
    assert (said.code, said.err.count("`PRODIGY_TEST_MODE` is of older programs")) == (0, 1)


def test_dlq_show_is_cards_on_a_terminal(desk: Any, write: Write) -> None:
    desk.environ["PRODIGY__UI__TIMES"] = "utc"
    write(STEM, whole(STEM, "lint-files"))
    desk.tty = True
    desk.environ["NO_COLOR"] = "1"
    said = desk.call("dlq", "show", "latest", "#1")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "src/\\x1b[2Jb.py  b  #1  of k7m2pq\n"
        "  1 failed attempt, may heal by itself, signature 5555555555555555\n"
        "  attempt 1  2026-11-22 08:15:09  step 1  exit 1  0.3 s\n"
        "    Exited with 1\n"
        "    | no frob\n"
        "    log: /l\n"
    )


def test_dlq_inspect(desk: Any, write: Write) -> None:
    """One item, wherever it is; its document is the item itself."""
    write(STEM, whole(STEM, "lint-files"))
    document = json.loads(desk.call("dlq", "inspect", "b").out)
    assert (document["item_id"], document["item_data"], "schema" in document) == ("b", {"path": NASTY}, False)
    assert desk.call("dlq", "inspect", "b", "--job-id", "k7m2pq").out == desk.call("dlq", "inspect", "#1").out
    write(OTHER, whole(OTHER, "lint-files"))
    said = desk.call("dlq", "inspect", "b")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: ambiguous-id")
    said = desk.call("dlq", "inspect", "a")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: item-not-found")


def test_dlq_analyze_groups_by_signature_and_class(desk: Any, write: Write, tmp_path: Path) -> None:
    write(STEM, whole(STEM, "lint-files"))
    write(OTHER, whole(OTHER, "lint-files"))
    document = json.loads(desk.call("dlq", "analyze", "--json", "--export", str(tmp_path / "a.json")).out)
    [group] = document["pattern_groups"]
    assert (group["signature"], group["class"], group["count"]) == ("5" * 16, "command-failed", 2)
    assert [sample["logs"] for sample in group["samples"]] == [["/l"], ["/l"]]
    assert document["error_distribution"] == {"command-failed": 2}
    assert [hour["count"] for hour in document["temporal_distribution"]] == [2]
    assert json.loads((tmp_path / "a.json").read_text()) == document
    assert json.loads(desk.call("dlq", "analyze", "k7m2pq", "--json").out)["total"] == 1
    text = desk.call("dlq", "analyze").out
    assert text.startswith("2 items  command-failed  5555555555555555  1h ago\n  Exited with 1\n")


def test_dlq_stats(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    document = json.loads(desk.call("dlq", "stats", "--json").out)
    assert document | {"oldest": None, "newest": None} == {
        "schema": "prodigy.dlq-stats/1",
        "total": 1,
        "eligible": 1,
        "manual_review_required": 0,
        "jobs": 1,
        "attempts": 1,
        "by_class": {"command-failed": 1},
        "oldest": None,
        "newest": None,
    }
    assert desk.call("dlq", "stats").out.splitlines()[0] == "items             1 of 1 run"


@pytest.mark.parametrize("named", [True, False])
def test_dlq_export(desk: Any, write: Write, tmp_path: Path, *, named: bool) -> None:
    """The same items in each format; by the suffix, or by its name."""

    def text(suffix: str) -> str:
        file = tmp_path / ("file" if named else f"file.{suffix}")
        words = ["--format", suffix] if named else []
        assert desk.call("dlq", "export", str(file), *words).code == 0
        return file.read_text()

    write(STEM, whole(STEM, "lint-files"))
    shown = json.loads(desk.call("dlq", "show", "latest", "--json").out)["items"]
    assert json.loads(text("json")) == shown
    assert [json.loads(line) for line in text("jsonl").splitlines()] == shown
    [row] = csv.DictReader(text("csv").splitlines())
    assert (row["item_id"], json.loads(row["item"]), row["class"]) == ("b", {"path": NASTY}, "command-failed")
    assert json.loads(desk.call("dlq", "export", "-").out) == shown


def test_dlq_export_of_nothing(desk: Any, write: Write) -> None:
    write(STEM, half(STEM, "lint-files"))
    assert json.loads(desk.call("dlq", "export", "-").out) == []


def test_removal_is_asked_for(desk: Any, write: Write) -> None:
    """Nobody is there: nothing is removed. Who is held by another process cannot be touched."""
    write(STEM, whole(STEM, "lint-files"))
    for words in (["clear", "latest"], ["purge", "--older-than-days", "1"]):
        if words[0] == "purge":
            assert desk.call("dlq", *words).out == "0 items removed\n", "it failed an hour ago"
            continue
        said = desk.call("dlq", *words)
        assert (said.code, said.err.splitlines()[0]) == (2, "error: confirmation-needed")
    layout = Layout(desk.home, "here")
    with JobLock.acquire(layout.job_lock(ids.job_id(ids.Stem(STEM), "mapreduce")), since=START):
        said = desk.call("dlq", "clear", "latest", "--yes")
        assert (said.code, said.err.splitlines()[0]) == (1, "error: already-running")
    assert json.loads(desk.call("dlq", "stats", "--json").out)["total"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["clear", "latest", "--yes"],
        ["clear", "latest", "--item", "#1", "-f"],
        ["clear", "latest", "--signature", "5555", "-y"],
        ["purge", "--older-than-days", "1", "--yes"],
    ],
)
def test_removal_is_a_record(desk: Any, write: Write, words: list[str]) -> None:
    story = whole(STEM, "lint-files")
    if words[0] == "purge":
        [place] = [place for place, event in enumerate(story) if isinstance(event, events.DlqItemAdded)]
        old = replace(story[place].history[0], timestamp=START - timedelta(days=2))
        story[place] = replace(story[place], history=(old,))
    write(STEM, story)
    before = desk.call("dlq", *words, "--dry-run", "--json")
    assert json.loads(before.out)["dry_run"]
    assert json.loads(desk.call("dlq", "stats", "--json").out)["total"] == 1
    said = desk.call("dlq", *words)
    assert (said.code, said.out) == (0, "1 item removed\n  k7m2pq  src/\\x1b[2Jb.py\n")
    assert desk.call("dlq", "list").out == "No item is in the dead letter queue\n"
    told = json.loads(desk.call("events", "k7m2pq", "--json", "--limit", "2").out)["events"]
    assert [one["event"]["event_type"] for one in told] == ["dlq_item_removed", "dlq_items_evicted"]
    assert told[0]["event"]["reason"] == ("purged" if words[0] == "purge" else "cleared")
    assert desk.call("dlq", *words).out == "0 items removed\n" or words[0] == "clear"


def test_an_item_that_is_not_in_the_queue(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("dlq", "show", "latest", "src/a.py")
    assert said.code == 2
    assert said.err.startswith("error: item-not-found\n")


def test_unknown_runs_are_refused_with_what_there_is(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("dlq", "show", "k7m2pp")
    assert said.code == 2
    assert "No run is called `k7m2pp`" in said.err
    assert "did you mean `k7m2pq`" in said.err


# -- events --------------------------------------------------------------------------------------------------------
def test_events_without_a_filter_are_runs(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("events")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "run     workflow    status     items  failed  took  started\n"
        "k7m2pq  lint-files  completed    1/2       1  12 s  1h ago\n"
    )
    assert desk.call("events", "ls").out == said.out


def test_events_of_a_run(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("events", "latest", "--type", "AgentFailed", "--type", "items_selected")
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0] == ["time", "seq", "type", "item", "agent", "text"]
    assert [row[2:4] for row in rows[1:]] == [["5", "items_selected"], ["10", "agent_failed"]]
    assert "error=Exited with 1" in said.out


def test_a_filter_without_a_run_means_the_newest(desk: Any, write: Write) -> None:
    write(OTHER, half(OTHER, "fix"))
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("events", "--item", "src/a.py", "--json")
    assert said.err == f"note: of the newest run, mapreduce-{STEM}\n"
    document = json.loads(said.out)
    assert [record["event"]["event_type"] for record in document["events"]] == [
        "item_selected",
        "agent_started",
        "agent_completed",
        "worktree_merged",
    ]


def test_events_as_a_stream(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("events", STEM, "--jsonl", "--limit", "3")
    assert [json.loads(line)["seq"] for line in said.out.splitlines()] == [12, 13, 14]


@pytest.mark.parametrize(
    ("since", "first"), [("75", 1), ("74m55s", 5), ("2026-11-22T08:15:10Z", 10), ("2026-11-22T08:15:10", 10)]
)
def test_since_in_every_spelling(desk: Any, write: Write, since: str, first: int) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("events", STEM, "--since", since, "--jsonl")
    assert json.loads(said.out.splitlines()[0])["seq"] == first


# -- worktrees -----------------------------------------------------------------------------------------------------
def test_worktree_ls(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("worktree", "ls")
    assert (said.code, said.err) == (0, "")
    heading, row = said.out.splitlines()
    assert heading.split() == ["session", "status", "branch", "ahead", "dirty", "age"]
    session = f"session-mapreduce-{STEM}"
    assert row.split() == [session, "completed", f"prodigy-{session}", "→", "main", "1", "1h", "ago"]


def test_worktree_ls_as_a_document(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    document = json.loads(desk.call("worktree", "list", "--json").out)
    assert document["schema"] == "prodigy.worktrees/1"
    assert document["summary"] == {
        "total": 1,
        "in_progress": 0,
        "interrupted": 0,
        "failed": 0,
        "completed": 1,
    }


def test_reading_changes_nothing(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    before = sorted(desk.home.rglob("*"))
    for words in (["status"], ["dlq", "list"], ["dlq", "show", STEM], ["events", STEM], ["worktree", "ls"]):
        assert desk.call(*words).code == 0
    assert sorted(desk.home.rglob("*")) == before


def test_no_raw_control_character_of_an_item_reaches_the_terminal(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    desk.tty = True
    desk.environ["NO_COLOR"] = "1"
    for words in (["dlq", "list"], ["dlq", "show", STEM], ["events", STEM], ["dlq", "show", STEM, "--json"]):
        assert "\x1b" not in desk.call(*words).out
