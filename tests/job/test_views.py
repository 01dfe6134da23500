"""Summaries, progress, results and reports: views that add up and tell what comes next."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace
from stories import started

from prodigy.errors import InternalError
from prodigy.events import Attempt, Failure
from prodigy.job.report import exit_code, report
from prodigy.job.results import item_results, map_variables
from prodigy.job.signature import signature_of
from prodigy.job.state import (
    DeadLetter,
    ItemState,
    ItemStatus,
    JobState,
    Money,
    PhaseState,
    Quota,
    item_rows,
    letter_rows,
    packed,
)
from prodigy.job.summary import JobSummary, eta_ms, item_counts, lived, next_command, progress, summarize

START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
BROKEN = Failure(error_class="command-failed", message="exited with 1", step="1", exit_code=1, logs=("/l",))


def item(index: int, status: ItemStatus, error: Failure | None = None) -> ItemState:
    return ItemState(
        index=index,
        item_id=f"i{index}",
        packed=packed({"path": f"{index}.py"}),
        status=status,
        error=error,
        duration_ms=1500,
        attempts=1,
        agent_id=f"agent-{index}-1",
        commits=("c",) if status == "done" else (),
    )


def state(*statuses: ItemStatus, **fields: object) -> JobState:
    items = [
        item(index, status, BROKEN if status == "failed" else None) for index, status in enumerate(statuses)
    ]
    made = JobState(
        started=started(max_parallel=4),
        started_at=START,
        money=Money(awake_since=START),
        updated_at=START + timedelta(seconds=90),
        status="running",
        items=item_rows(reversed(items)),
        counts=Counter(statuses),
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def letter(index: int) -> DeadLetter:
    return DeadLetter(
        seq=9,
        item_id=f"i{index}",
        index=index,
        packed="null",
        error_signature="f" * 16,
        reprocess_eligible=True,
        manual_review_required=False,
        first_attempt=START,
        last_attempt=START,
    )


# -- counts and time -----------------------------------------------------------------------------------------------
def test_agents_without_a_place_wait() -> None:
    counts = item_counts(state("pending", "running", "running", parked_agents={"i1": ("a", None)}))
    assert (counts.running, counts.waiting, counts.total) == (1, 2, 3)


def test_counts_by_people_s_names_add_up_to_the_total() -> None:
    counts = item_counts(state("pending", "running", "merging", "done", "done", "failed", "skipped"))
    assert msgspec.to_builtins(counts) == {
        "total": 7,
        "done": 2,
        "failed": 1,
        "running": 1,
        "waiting": 1,
        "merging": 1,
        "skipped": 1,
    }


def test_there_is_no_estimate_before_five_items() -> None:
    assert eta_ms(state(*["done"] * 4, "pending", item_durations=[1000] * 4)) is None
    assert eta_ms(state(*["done"] * 5, "pending", item_durations=[1000] * 5)) is not None


def test_an_estimate_is_the_work_left_over_the_agents_at_it() -> None:
    left = state(*["done"] * 6, "running", "running", *["pending"] * 3, item_durations=[1000, 3000])
    assert eta_ms(left) == 2000 * (3 + 1) / 2


def test_there_is_no_estimate_for_what_is_over_or_waits() -> None:
    assert eta_ms(state(*["done"] * 6, item_durations=[1000])) is None
    assert eta_ms(state(*["done"] * 6, "pending", item_durations=[1000], ended_at=START)) is None
    blocked = [Quota(account="a", model=None, until=START, row=1)]
    assert eta_ms(state(*["done"] * 6, "pending", item_durations=[1000], quotas=blocked)) is None


def test_a_run_that_ended_takes_no_more_time() -> None:
    later = START + timedelta(hours=1)
    assert progress(state(), later).elapsed_ms == 3_600_000
    assert progress(state(ended_at=START + timedelta(seconds=2)), later).elapsed_ms == 2000


# -- summaries -----------------------------------------------------------------------------------------------------
def ended(**fields: object) -> JobSummary:
    return summarize(state("done", **({"status": "completed", "ended_at": START} | fields)), "repo")


@pytest.mark.parametrize(
    ("summary", "command"),
    [
        (ended(commits=2), "prodigy worktree merge k7m2pq"),
        (
            ended(commits=2, merge="declined", dead_letters=letter_rows([letter(0)])),
            "prodigy worktree merge k7m2pq",
        ),
        (ended(commits=2, merge="merged", dead_letters=letter_rows([letter(0)])), "prodigy dlq retry k7m2pq"),
        (
            ended(status="failed", phase="map", dead_letters=letter_rows([letter(0)])),
            "prodigy dlq retry k7m2pq",
        ),
        (
            ended(status="failed", phase="reduce", dead_letters=letter_rows([letter(0)])),
            "prodigy resume k7m2pq",
        ),
        (ended(commits=2, merge="merged"), None),
        (ended(commits=0), None),
        (ended(commits=2, branch_removed=True), None),
        (ended(status="failed"), "prodigy resume k7m2pq"),
        (ended(status="running", ended_at=None), None),
    ],
)
def test_what_comes_next(summary: JobSummary, command: str | None) -> None:
    assert (summary.next, next_command(summary)) == (command, command)


def test_without_a_holder_a_run_without_an_end_is_interrupted() -> None:
    running = summarize(state("running"), "repo")
    assert (running.status, lived(running, 4711).status, lived(running, 4711).pid) == (
        "running",
        "running",
        4711,
    )
    dead = lived(running, None)
    assert (dead.status, dead.resumable, dead.next) == ("interrupted", True, "prodigy resume k7m2pq")


def test_a_run_failed_where_its_first_phase_did() -> None:
    phases = {
        "setup": PhaseState(status="completed", started_at=START),
        "map": PhaseState(status="failed", started_at=START),
        "on_failure": PhaseState(status="completed", started_at=START),
    }
    assert ended(status="failed", phase="on_failure", phases=phases).phase == "map"


def test_an_end_is_an_end_whoever_holds_the_lock() -> None:
    """A run asks about its merge, and cleans up, after its end is recorded."""
    assert lived(ended(), 4711) == ended()


def test_a_summary_survives_json() -> None:
    summary = summarize(state("done", "failed", item_durations=[1]), "repo")
    assert msgspec.json.decode(msgspec.json.encode(summary), type=JobSummary) == summary


def test_a_run_of_nothing_is_our_mistake() -> None:
    with pytest.raises(InternalError):
        summarize(JobState(), "repo")


# -- results -------------------------------------------------------------------------------------------------------
def test_results_stand_at_their_index() -> None:
    results = list(item_results(state("done", "failed", "pending", "skipped")))
    assert [result.index for result in results] == [0, 1, 2, 3]
    assert [result.status for result in results] == ["success", "failed", "skipped", "skipped"]
    assert results[0].exit_code == 0
    assert (results[0].duration, results[0].branch) == (1.5, "prodigy-k7m2pq-agent-0-1")
    assert (results[1].error, results[1].exit_code) == ("exited with 1", 1)


def test_variables_of_the_map_phase_add_up() -> None:
    variables = map_variables(state("done", "done", "failed", "skipped"), "/results.json")
    assert [variables[name] for name in ("total", "successful", "failed", "skipped")] == [4, 2, 1, 1]
    assert (variables["success_rate"], variables["failure_rate"]) == (50, 25)
    assert (variables["total_duration_secs"], variables["average_duration_secs"]) == (6, 1.5)
    assert variables["results_json"].encode() == msgspec.json.encode(variables["results"])
    assert variables["results_file"] == "/results.json"


def test_no_items_are_a_whole_success() -> None:
    variables = map_variables(state(), "/results.json")
    assert (variables["success_rate"], variables["failure_rate"], variables["average_duration_secs"]) == (
        100,
        0,
        0,
    )


# -- reports -------------------------------------------------------------------------------------------------------
def test_a_report_is_a_document_of_its_schema() -> None:
    told = state("done", "failed", status="completed", ended_at=START + timedelta(seconds=3))
    told.phases["map"] = PhaseState(status="completed", started_at=START, duration_ms=9)
    raw = msgspec.json.encode(report(told, "repo", START, lambda _: ()))
    assert raw.startswith(b'{"schema":"prodigy.report/1",')
    document = msgspec.json.decode(raw)
    assert (document["status"], document["exit_code"], document["duration_ms"]) == ("completed", 0, 3000)
    assert [one["item_id"] for one in document["items"]["list"]] == ["i0", "i1"]
    assert document["phases"] == [
        {
            "phase": "map",
            "status": "completed",
            "started_at": "2026-11-22T08:15:00Z",
            "duration_ms": 9,
            "error": None,
        }
    ]


def test_failures_are_grouped_and_sampled() -> None:
    told = state(*["failed"] * 5)
    told.items["i4"].error = Failure(error_class="timeout", message="over 5 s", step="1")
    told.dead_letters["i4"] = letter(4)
    read = Attempt(
        attempt_number=1,
        timestamp=START,
        phase="map",
        error_type="timeout",
        error_message="",
        logs=("/read",),
    )
    many, one = report(told, "repo", START, lambda item: (read,) * (item.item_id == "i4")).failures
    assert (many.signature, many.count, len(many.samples)) == (signature_of(BROKEN), 4, 3)
    assert many.samples[0].logs == ("/l",)
    assert (one.signature, one.error_class, one.count) == ("f" * 16, "timeout", 1)
    assert one.samples[0].logs == ("/read",), "a dead letter's logs are where its history is read"


@pytest.mark.parametrize(
    ("status", "signal", "code"),
    [
        ("completed", None, 0),
        ("failed", None, 1),
        ("corrupt", None, 1),
        ("interrupted", 2, 130),
        ("interrupted", 15, 143),
        ("interrupted", 1, 129),
        ("interrupted", None, 130),
        ("running", None, None),
        ("starting", None, None),
    ],
)
def test_the_exit_code_follows_from_the_end(status: str, signal: int | None, code: int | None) -> None:
    summary = replace(ended(), status=status)
    assert exit_code(summary, signal) == code
