"""``prodigy progress``: one screen of one run."""

import csv
import io
import json
from typing import Any

import pytest
from stories import OTHER, START, STEM, Write, half, whole, write_journal

from prodigy import events, ids
from prodigy.paths import Layout
from prodigy.store.locks import JobLock

WORKING = events.AgentStarted(
    item_id="b", agent_id="agent-1-1", attempt=1, worktree="/w", slot=0, base_commit="base", branch="x"
)


def lock(desk: Any) -> JobLock:
    job = ids.job_id(ids.Stem(OTHER), "mapreduce")
    return JobLock.acquire(Layout(desk.home, "here").job_lock(job), since=START)


def test_a_run_that_goes_on(desk: Any, write: Write) -> None:
    write(OTHER, [*half(OTHER, "fix"), WORKING])
    with lock(desk):
        said = desk.call("progress", "latest", "--json")
        text = desk.call("progress", "latest").out.splitlines()
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    assert document["schema"] == "prodigy.progress/1"
    assert (document["run"]["status"], document["phase"], document["waiting"]) == ("running", "map", 0)
    assert (document["items"]["done"], document["items"]["running"]) == (1, 1)
    [running] = document["running"]
    assert (running["item_id"], running["attempt"], running["step"]) == ("b", 1, None)
    assert running["elapsed_ms"] > 0
    assert [item["item_id"] for item in document["slowest"]] == ["a"]
    assert any(line.endswith("1/2") and "[####################....................]" in line for line in text)
    assert "At work" in text


def test_without_a_process_nothing_is_at_work(desk: Any, write: Write) -> None:
    write(OTHER, [*half(OTHER, "fix"), WORKING])
    document = json.loads(desk.call("progress", "h8w1zz", "--json").out)
    assert (document["run"]["status"], document["running"], document["rate"]) == ("interrupted", [], None)


def test_what_is_tried_again(desk: Any, write: Write) -> None:
    failed = events.AgentFailed(
        item_id="b",
        agent_id="agent-1-1",
        attempt=1,
        duration_ms=300,
        error=events.Failure(error_class="timeout", message="Took too long"),
        signature="f" * 16,
    )
    again = events.AgentRetrying(
        item_id="b", agent_id="agent-1-1", next_attempt=2, backoff_ms=7_200_000, charged_to="item"
    )
    write(OTHER, [*half(OTHER, "fix"), WORKING, failed, again])
    with lock(desk):
        [item] = json.loads(desk.call("progress", "h8w1zz", "--json").out)["retrying"]
        text = desk.call("progress", "h8w1zz").out
    assert (item["item_id"], item["attempts"], item["class"]) == ("b", 1, "timeout")
    assert "To be tried again" in text
    assert "timeout: Took too long" in text


def test_latest_is_the_run_that_is_running(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    write(OTHER, half(OTHER, "fix"))
    with lock(desk):
        assert json.loads(desk.call("progress", "--json").out)["run"]["stem"] == OTHER
    assert json.loads(desk.call("progress", "--json").out)["run"]["stem"] == STEM


def test_watching_sees_what_comes_and_ends_with_the_run(desk: Any, write: Write) -> None:
    write(OTHER, half(OTHER, "fix"))
    held, slept = lock(desk), list[float]()

    def go_on(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            write_journal(desk.home, OTHER, [WORKING], len(half(OTHER, "fix")) + 1)
        else:
            held.release()

    desk.sleep = go_on
    said = desk.call("progress", "h8w1zz", "--watch", "5", "--jsonl")
    looks = [json.loads(line) for line in said.out.splitlines()]
    assert (said.code, slept) == (0, [5.0, 5.0])
    assert [look["items"]["running"] for look in looks] == [0, 1, 1]
    assert [look["run"]["status"] for look in looks] == ["running", "running", "interrupted"]


def test_progress_in_files(desk: Any, write: Write) -> None:
    write(STEM, whole(STEM, "lint-files"))
    for name in ("p.json", "p.csv", "p.html"):
        said = desk.call("progress", STEM, "--export", name)
        assert (said.code, said.out) == (0, "")
        assert said.err == f"written to {desk.directory / name}\n"
    assert json.loads((desk.directory / "p.json").read_text())["schema"] == "prodigy.progress/1"
    rows = list(csv.DictReader(io.StringIO((desk.directory / "p.csv").read_text())))
    assert [(row["item_id"], row["status"]) for row in rows] == [("a", "done"), ("b", "failed")]
    assert "<table>" in (desk.directory / "p.html").read_text()
    desk.call("progress", STEM, "--export", "other", "--format", "csv")
    assert (desk.directory / "other").read_text() == (desk.directory / "p.csv").read_text()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--format", "csv"], "missing-argument"),
        (["--watch", "--export", "f"], "conflicting-flags"),
        (["--watch", "--json"], "conflicting-flags"),
    ],
)
def test_flags_that_make_no_sense_together(desk: Any, write: Write, words: list[str], code: str) -> None:
    write(STEM, whole(STEM, "lint-files"))
    said = desk.call("progress", STEM, *words)
    assert said.code == 2
    assert code in said.err + said.out
