"""``prodigy events`` beyond the list: looking for a text, following, counting, writing for other programs."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from stories import OTHER, START, STEM, Write, half, whole, write_journal

from prodigy import events, ids
from prodigy.paths import Layout
from prodigy.store.journal import segments
from prodigy.store.locks import JobLock

JOB, OTHER_JOB = f"mapreduce-{STEM}", f"mapreduce-{OTHER}"


@pytest.fixture
def two_runs(write: Write) -> None:
    write(OTHER, half(OTHER, "fix"))
    write(STEM, whole(STEM, "lint-files"))


def found(desk: Any, *words: str) -> list[tuple[str, str]]:
    document = json.loads(desk.call("events", "search", *words, "--json").out)
    assert document["schema"] == "prodigy.events/1"
    return [(one["job_id"], one["event"]["event_type"]) for one in document["events"]]


# -- search --------------------------------------------------------------------------------------------------------
def test_a_text_is_looked_for_in_all_that_records_say(desk: Any, two_runs: None) -> None:
    assert found(desk, "no fr.b") == [(JOB, "agent_failed"), (JOB, "dlq_item_added")]
    assert found(desk, "^.*phase_started") == [(OTHER_JOB, "phase_started"), (JOB, "phase_started")]


@pytest.mark.parametrize(
    ("words", "types"),
    [
        (["Exited", "--fields", "error.message"], ["agent_failed"]),
        (["Exited", "--fields", "error.message", "--fields", "history"], ["agent_failed", "dlq_item_added"]),
        (["^f$", "--fields", "files_changed"], ["agent_completed"]),
        (["^f$", "--fields", "files_modified"], ["agent_completed"]),
        (["^2$", "--fields", "seq"], ["phase_started"]),
        (["Exited", "--fields", "message"], []),
        (["Exited", "--type", "DLQItemAdded"], ["dlq_item_added"]),
        (["agent", "--item", "src/a.py", "--limit", "1"], ["worktree_merged"]),
    ],
)
def test_a_text_is_looked_for_where_one_says(
    desk: Any, two_runs: None, words: list[str], types: list[str]
) -> None:
    assert found(desk, words[0], "--job-id", "k7m2pq", *words[1:]) == [(JOB, kind) for kind in types]


def test_what_cannot_be_looked_for_is_told_with_its_place(desk: Any, two_runs: None) -> None:
    said = desk.call("events", "search", "a(b")
    assert (said.code, said.err.splitlines()[:2]) == (
        2,
        [
            "error: bad-value",
            "  `a(b` is no regular expression: missing ), unterminated subpattern at character 2",
        ],
    )
    said = desk.call("events", "search", "a", "--fields", "mesage")
    assert (said.code, said.err.splitlines()[-1]) == (2, "hint: did you mean `message`")


def test_a_journal_that_is_damaged_hides_no_other(desk: Any, two_runs: None) -> None:
    [path] = segments(Layout(desk.home, "here").journal(ids.job_id(ids.Stem(OTHER), "mapreduce")))
    path.write_bytes(path.read_bytes().replace(b'"phase":"map"', b'"phase":"MAP"', 1) + path.read_bytes())
    said = desk.call("events", "search", "job_completed", "--json")
    assert [one["job_id"] for one in json.loads(said.out)["events"]] == [JOB]


# -- follow --------------------------------------------------------------------------------------------------------
def test_following_shows_what_is_there_and_what_comes(desk: Any, write: Write) -> None:
    """Over the border of two segments, and until the lock is given back: then to the last record."""
    story = whole(STEM, "lint-files")
    write(STEM, story[:3])
    lock = JobLock.acquire(
        Layout(desk.home, "here").job_lock(ids.job_id(ids.Stem(STEM), "mapreduce")), since=START
    )
    seen = []

    def sleep(_seconds: float) -> None:
        seen.append(desk.call("events", "k7m2pq", "--json", "--limit", "0").out.count("event_type"))
        if len(seen) == 1:
            write_journal(desk.home, STEM, story[3:6], first=4, segment_bytes=1)
        else:
            write_journal(desk.home, STEM, story[6:], first=7, segment_bytes=1)
            lock.release()

    desk.sleep = sleep
    said = desk.call("events", "follow", "--jsonl")
    assert (said.code, said.err) == (0, "")
    told = [json.loads(line) for line in said.out.splitlines()]
    assert [one["seq"] for one in told] == list(range(1, len(story) + 1))
    assert seen == [3, 6]
    assert len(segments(Layout(desk.home, "here").journal(ids.job_id(ids.Stem(STEM), "mapreduce")))) == 3


def test_following_a_run_that_ended_shows_it_and_ends(desk: Any, two_runs: None) -> None:
    said = desk.call("events", "follow", "k7m2pq", "--type", "AgentFailed")
    assert said.code == 0
    [line] = said.out.splitlines()
    assert line.split()[2:6] == ["10", "agent_failed", "b", "agent-1-1"]
    assert "error=Exited with 1" in line
    said = desk.call("events", "follow")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: run-not-found"), "none is running"


@pytest.mark.parametrize("words", [["--json"], ["--file", "x"]])
def test_what_is_no_stream_is_not_followed(desk: Any, two_runs: None, words: list[str]) -> None:
    said = desk.call("events", "follow", "latest", *words)
    assert said.code == 2
    assert "conflicting-flags" in said.out + said.err


# -- stats ---------------------------------------------------------------------------------------------------------
def test_records_are_counted(desk: Any, two_runs: None) -> None:
    document = json.loads(desk.call("events", "stats", "--json").out)
    assert (document["schema"], document["group_by"]) == ("prodigy.event-stats/1", "event_type")
    assert document["total"] == len(half(OTHER, "")) + len(whole(STEM, ""))
    largest = document["groups"][0]
    assert (largest["key"], largest["count"]) == ("item_selected", 4)
    assert largest["share"] == 4 / document["total"]
    assert largest["first"] < largest["last"]


@pytest.mark.parametrize(
    ("by", "counts"),
    [
        ("job_id", {JOB: 2, OTHER_JOB: 1}),
        ("agent_id", {"agent-0-1": 2, "agent-1-1": 1}),
        ("item", {"a": 2, "b": 1}),
        ("phase", {None: 3}),
    ],
)
def test_records_are_counted_by_what_one_says(
    desk: Any, two_runs: None, by: str, counts: dict[str | None, int]
) -> None:
    words = ["events", "stats", "--group-by", by, "--type", "agent_started", "--json"]
    groups = json.loads(desk.call(*words).out)["groups"]
    assert {group["key"]: group["count"] for group in groups} == counts


def test_counts_for_people(desk: Any, two_runs: None) -> None:
    lines = desk.call("events", "stats", "latest", "--type", "agent_started").out.splitlines()
    assert lines[1].split()[:3] == ["agent_started", "2", "100.0%"]
    assert lines[-1] == "2 in all"


# -- export --------------------------------------------------------------------------------------------------------
def test_records_are_written_for_other_programs(desk: Any, two_runs: None, tmp_path: Path) -> None:
    """The same records in each format, from all runs, the oldest first."""

    def text(form: str) -> str:
        file = tmp_path / f"file.{form}"
        said = desk.call("events", "export", "--format", form, "--output", str(file))
        assert (said.code, said.out) == (0, "")
        assert desk.call("events", "export", "--format", form).out == file.read_text()
        return file.read_text()

    whole_list = json.loads(text("json"))
    assert [one["job_id"] for one in whole_list] == [OTHER_JOB] * 8 + [JOB] * 14
    assert [json.loads(line) for line in text("jsonl").splitlines()] == whole_list
    rows = list(csv.DictReader(text("csv").splitlines()))
    assert [json.loads(row["event"]) for row in rows] == [one["event"] for one in whole_list]
    assert rows[5]["agent_id"] == "agent-0-1"
    table = text("markdown").splitlines()
    assert table[1] == "| --- | --- | --- | --- | --- | --- |"
    assert len(table) == 2 + len(whole_list)


def test_runs_are_written_as_a_trace(desk: Any, two_runs: None) -> None:
    """Each run is a process; without any the file is one all the same."""
    told = json.loads(desk.call("events", "export", "--format", "trace").out)["traceEvents"]
    names = {entry["pid"]: entry["args"]["name"] for entry in told if entry["name"] == "process_name"}
    assert [names[number].split()[1] for number in sorted(names)] == [OTHER_JOB, JOB]
    assert {entry["pid"] for entry in told} == {1, 2}
    alone = json.loads(desk.call("events", "export", "latest", "--format", "trace").out)["traceEvents"]
    assert len(alone) == sum(entry["pid"] == 2 for entry in told)
    nothing = desk.call("events", "export", "--since", "2100-01-01T00:00:00Z", "--format", "trace").out
    assert json.loads(nothing)["traceEvents"] == []


def test_what_would_break_a_markdown_table_is_escaped(desk: Any, write: Write) -> None:
    story = [*half(STEM, "x"), events.ItemSkipped(item_id="b", reason="a|b <script>")]
    write(STEM, story)
    *_, last = desk.call("events", "export", "--format", "markdown").out.splitlines()
    assert "a\\|b &lt;script>" in last
    assert last.replace("\\|", "").count("|") == 7


# -- files ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", [[], ["search", "agent"], ["stats"], ["export"]])
def test_records_of_a_file(desk: Any, two_runs: None, tmp_path: Path, verb: list[str]) -> None:
    """A segment, its packed copy and an export say the same as the journal does."""
    [segment] = segments(Layout(desk.home, "here").journal(ids.job_id(ids.Stem(STEM), "mapreduce")))
    packed = tmp_path / "events.jsonl.gz"
    packed.write_bytes(gzip.compress(segment.read_bytes()))
    form = [] if verb == ["export"] else ["--json"]
    said = {
        desk.call("events", *verb, *form, "--item", "src/a.py", *where).out
        for where in (["--job-id", STEM], ["--file", str(segment)], ["--file", str(packed)])
    }
    assert len(said) == 1
    assert "agent_completed" in said.pop() or verb == ["stats"]


def test_a_file_that_holds_something_else(desk: Any, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text('{"event": 1}\n')
    said = desk.call("events", "--file", str(file))
    assert said.code == 2
    assert "Line 1 of the file is no record" in said.err
    assert desk.call("events", "--file", str(tmp_path / "nothing")).code == 2


def test_only_the_journal_is_told_whether_one_says_so_or_not(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    for words in (["events"], ["events", "ls", "latest"], ["events", "stats"], ["events", "search", "a"]):
        said = desk.call(*words, "--journal-only")
        assert (said.code, said.out) == (0, desk.call(*words).out)
