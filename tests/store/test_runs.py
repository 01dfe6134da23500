"""Runs on disk: what is listed, what a name means, and that only the journal decides."""

import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prodigy import events
from prodigy.errors import RunError, UsageError
from prodigy.events import AnyEvent, Record
from prodigy.ids import JobId
from prodigy.job.fold import fold
from prodigy.paths import Layout, Storage
from prodigy.store.dead_letters import DlqFilter, dlq_document, dlq_list
from prodigy.store.documents import DlqListDocument
from prodigy.store.event_log import EventFilter, events_document
from prodigy.store.journal import segments
from prodigy.store.locks import JobLock
from prodigy.store.projections import Projections
from prodigy.store.runs import (
    Run,
    all_runs,
    jobs_document,
    load_state,
    records,
    resolve,
    status_document,
    summaries,
    summary,
    with_dead_letters,
    worktrees_document,
)
from prodigy.store.session_state import remembered

Tell = Callable[[Path, list[AnyEvent]], list[Record]]
Story = Callable[..., list[AnyEvent]]
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
OLD, NEW = "20261121-081500-p3x9ad", "20261122-081500-k7m2pq"


@pytest.fixture
def make_run(layout: Layout, tell: Tell) -> Callable[..., Run]:
    """Writes a journal, and the projections as the recorder would."""

    def make(story: list[AnyEvent], *, stem: str = NEW, repo: str = "repo", projections: bool = True) -> Run:
        run = Run(layout.home, repo, JobId(f"mapreduce-{stem}"))
        written = tell(run.layout.journal(run.job_id), story)
        if projections:
            Projections(run.layout, lambda: NOW, pid=1).write_everything(fold(written))
        return run

    return make


MakeRun = Callable[..., Run]


def listed(home: Path, wanted: DlqFilter) -> DlqListDocument:
    return dlq_list((state for _, state in with_dead_letters(Storage(home), None)), wanted)


def everything_said(run: Run) -> list[Any]:
    """All that the reading verbs answer about the runs of a home."""
    home = run.home
    answers = [
        status_document(Storage(home), None),
        status_document(Storage(home), run.repo),
        jobs_document(Storage(home), None),
        worktrees_document(Storage(home), None),
        listed(home, DlqFilter()),
        [dlq_document(load_state(found), found.histories()) for found in all_runs(Storage(home), None)],
        [events_document(records(found), EventFilter()) for found in all_runs(Storage(home), None)],
        resolve("latest", Storage(home), run.repo).run.job_id,
        resolve("latest", Storage(home), run.repo, fits=lambda known: known.dlq_count > 0).run.job_id,
    ]
    return [msgspec.to_builtins(answer) for answer in answers]


# -- only the journal decides --------------------------------------------------------------------------------------
@pytest.mark.parametrize("cut", range(1, 16))
def test_deleting_every_projection_changes_no_answer(make_run: MakeRun, story: Story, cut: int) -> None:
    """At every point of a run's life, with and without an older run beside it."""
    make_run(story(OLD, "drift"), stem=OLD)
    run = make_run(story(NEW)[:cut])
    assert run.layout.session_state(run.session_id).exists()
    before = everything_said(run)
    for folder in run.home.iterdir():
        if folder.name != "events":
            shutil.rmtree(folder)
    assert everything_said(run) == before


def test_a_stale_projection_is_not_believed(make_run: MakeRun, story: Story, tell: Tell) -> None:
    """The run ended after its state was last written."""
    run = make_run(story(NEW)[:8])
    folder = run.layout.journal(run.job_id)
    shutil.rmtree(folder)
    tell(folder, story(NEW))
    known = summary(run)
    assert known is not None
    assert (known.status, known.dlq_count) == ("completed", 1)


def test_status_reads_no_journal_where_a_session_has_its_file(
    make_run: MakeRun, story: Story, tell: Tell, opened_files: list[str]
) -> None:
    """Its numbers are those of the file, marked as old where the run has gone on; no record is decoded."""
    run = make_run(story(NEW)[:8])
    folder = run.layout.journal(run.job_id)
    (path,) = segments(folder)
    with path.open("ab") as journal:
        journal.write(b"x" * 10_000_000)
    opened_files.clear()
    status = status_document(Storage(run.home), "repo")
    [known] = status.resumable
    assert (known.items.running, known.stale) == (1, True)
    assert opened_files.count(str(path)) <= 1, "its end is looked at"
    path.unlink()
    assert [found.stem for found in status_document(Storage(run.home), "repo").resumable] == [NEW]


@pytest.fixture
def opened_files() -> Iterator[list[str]]:
    """The path of every file that is opened meanwhile."""
    found: list[str] = []
    listening = [True]

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "open":
            found.append(str(arguments[0]))

    sys.addaudithook(hear)
    yield found
    listening.clear()


def test_status_is_not_stale_once_all_is_written(make_run: MakeRun, story: Story) -> None:
    make_run(story(NEW))
    status = status_document(Storage(make_run(story(OLD), stem=OLD).home), "repo")
    assert [found.stale for found in status.waiting] == [False, False]


def test_a_shorter_journal_is_another_one(make_run: MakeRun, story: Story, tell: Tell) -> None:
    run = make_run(story(NEW))
    folder = run.layout.journal(run.job_id)
    shutil.rmtree(folder)
    tell(folder, story(NEW)[:7])
    assert [found.stem for found in status_document(Storage(run.home), "repo").resumable] == [NEW]


def test_a_fresh_projection_spares_the_journal(make_run: MakeRun, story: Story) -> None:
    """Its numbers are shown without reading the records: a byte changed in the middle goes unseen."""
    run = make_run(story(NEW))
    before = summary(run)
    (path,) = segments(run.layout.journal(run.job_id))
    path.write_bytes(path.read_bytes().replace(b'"workflow_name":"lint"', b'"workflow_name":"LINT"'))
    assert summary(run) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"journal":{"seq":1,"bytes":2}}'])
def test_a_damaged_projection_is_not_believed(make_run: MakeRun, story: Story, content: bytes) -> None:
    run = make_run(story(NEW))
    before = summary(run)
    run.layout.session_state(run.session_id).write_bytes(content)
    assert summary(run) == before
    assert remembered(run.layout, run.job_id, run.session_id) is None


def test_a_projection_of_the_middle_of_a_group_is_not_believed(
    make_run: MakeRun, story: Story, layout: Layout
) -> None:
    """All bytes of the group are there already; the number of the last record tells."""
    run = make_run(story(NEW), projections=False)
    state = fold(list(records(run))[:-1])
    Projections(layout, lambda: NOW, pid=1).write_session_state(state)
    known = summary(run)
    assert known is not None
    assert known.merge == "declined"


# -- what lives ----------------------------------------------------------------------------------------------------
def test_a_run_without_an_end_and_without_a_holder_is_interrupted(make_run: MakeRun, story: Story) -> None:
    run = make_run(story(NEW)[:7])
    known = summary(run)
    assert known is not None
    assert (known.status, known.pid) == ("interrupted", None)
    assert [found.stem for found in status_document(Storage(run.home), "repo").resumable] == [NEW]


def test_a_run_whose_lock_is_held_is_running(make_run: MakeRun, story: Story) -> None:
    run = make_run(story(NEW)[:7])
    with JobLock.acquire(run.layout.job_lock(run.job_id), since=NOW) as lock:
        assert lock.path.exists()
        known = summary(run)
        assert known is not None
        assert known.status == "running"
        assert known.pid is not None
        assert [found.stem for found in status_document(Storage(run.home), "repo").running] == [NEW]


def test_a_run_without_its_first_record_is_no_run(layout: Layout) -> None:
    job = JobId(f"mapreduce-{NEW}")
    layout.journal(job).mkdir(parents=True)
    (layout.journal(job) / "events-20261122-081500-000.jsonl").write_bytes(b'{"v":1,"seq"')
    assert summaries(Storage(layout.home), "repo") == []
    with pytest.raises(UsageError, match="run-not-found"):
        load_state(Run(layout.home, "repo", job))


def test_a_corrupt_run_hides_no_other(make_run: MakeRun, story: Story) -> None:
    make_run(story(OLD, "drift"), stem=OLD)
    run = make_run(story(NEW), projections=False)
    (path,) = segments(run.layout.journal(run.job_id))
    path.write_bytes(path.read_bytes().replace(b'"src/a.py"', b'"src/x.py"'))
    corrupt, sound = summaries(Storage(run.home), "repo")
    assert (corrupt.status, corrupt.workflow) == ("corrupt", "lint")
    assert corrupt.error is not None
    assert (sound.status, sound.workflow) == ("completed", "drift")
    with pytest.raises(RunError, match="journal-corrupt"):
        load_state(run)


def test_a_run_whose_first_record_is_corrupt_is_still_listed(make_run: MakeRun, story: Story) -> None:
    run = make_run(story(NEW), projections=False)
    (path,) = segments(run.layout.journal(run.job_id))
    path.write_bytes(b"x" + path.read_bytes()[1:])
    (known,) = summaries(Storage(run.home), "repo")
    assert (known.status, known.stem) == ("corrupt", NEW)


# -- listing -------------------------------------------------------------------------------------------------------
def test_runs_are_listed_newest_first_and_by_repository(make_run: MakeRun, story: Story) -> None:
    make_run(story(OLD), stem=OLD)
    run = make_run(story(NEW), stem=NEW)
    make_run(story("20261123-081500-aaaaaa"), stem="20261123-081500-aaaaaa", repo="other")
    (run.home / "events" / "repo" / "notes").mkdir()
    (run.home / "events" / "repo" / "readme.txt").touch()
    assert [found.stem for found in all_runs(Storage(run.home), "repo")] == [NEW, OLD]
    assert [found.repo for found in all_runs(Storage(run.home), None)] == ["other", "repo", "repo"]
    assert all_runs(Storage(run.home), "nowhere") == []


def test_of_runs_that_began_in_the_same_second_the_later_one_is_newer(layout: Layout) -> None:
    """Their names say which second it was, and then chance has the word."""
    moments = {"zzzzzz": "017", "000000": "418", "kkkkkk": "902"}
    for tail, millisecond in moments.items():
        folder = layout.journal(JobId(f"workflow-20261122-081500-{tail}"))
        folder.mkdir(parents=True)
        for name in (f"events-20261122-081500-{millisecond}.jsonl", "events-20261122-081501-000.jsonl"):
            (folder / name).touch()
    found = all_runs(Storage(layout.home), None)
    assert [run.stem[-6:] for run in found] == ["kkkkkk", "000000", "zzzzzz"]


def test_a_run_that_waits_and_is_not_merged_stands_in_both_lists(make_run: MakeRun, story: Story) -> None:
    run = make_run(story(NEW))
    status = status_document(Storage(run.home), "repo")
    assert [found.next for found in status.waiting] == ["prodigy dlq retry k7m2pq"]
    assert [found.next for found in status.unmerged] == ["prodigy worktree merge k7m2pq"]
    assert (status.running, status.resumable) == ([], [])


def test_a_run_whose_branch_is_gone_waits_for_no_merge(make_run: MakeRun, story: Story) -> None:
    told = story(NEW)
    cleaned = events.WorktreeCleaned(intent=1, path="/w", branches=(told[0].session_branch,))  # type: ignore[union-attr]
    run = make_run([*told, cleaned])
    assert status_document(Storage(run.home), "repo").unmerged == []
    assert worktrees_document(Storage(run.home), "repo").sessions == []


def test_an_empty_home_is_an_empty_answer(tmp_path: Path) -> None:
    status = status_document(Storage(tmp_path / "nothing"), None)
    assert [status.running, status.resumable, status.waiting, status.unmerged] == [[], [], [], []]
    assert not (tmp_path / "nothing").exists()


# -- names ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    [
        f"session-mapreduce-{NEW}",
        f"mapreduce-{NEW}",
        NEW,
        "k7m2pq",
        "k7m",
        "20261122",
        "mapreduce-20261122",
        "latest",
    ],
)
def test_a_run_is_found_by_each_of_its_names(make_run: MakeRun, story: Story, name: str) -> None:
    make_run(story(OLD), stem=OLD)
    run = make_run(story(NEW))
    assert resolve(name, Storage(run.home), "repo").run == run


def test_an_exact_name_beats_a_prefix(make_run: MakeRun, story: Story) -> None:
    run = make_run(story(NEW))
    longer = "20261122-081500-abcdef"
    make_run(story(longer), stem=longer)
    with pytest.raises(UsageError) as caught:
        resolve("20261122-081500", Storage(run.home), "repo")
    assert caught.value.code == "ambiguous-run"
    assert f"`mapreduce-{NEW}`" in str(caught.value.note)
    assert resolve(NEW, Storage(run.home), "repo").run == run


@pytest.mark.parametrize("name", ["k7m2px", "k7", "", "nonsense"])
def test_what_is_called_by_no_name_is_not_found(make_run: MakeRun, story: Story, name: str) -> None:
    run = make_run(story(NEW))
    with pytest.raises(UsageError) as caught:
        resolve(name, Storage(run.home), "repo")
    assert caught.value.code == "run-not-found"
    if name == "k7m2px":
        assert "`k7m2pq`" in str(caught.value.hint)


def test_a_run_of_another_repository_is_found_with_a_word(make_run: MakeRun, story: Story) -> None:
    run = make_run(story(NEW), repo="other")
    found = resolve("k7m2pq", Storage(run.home), "repo")
    assert (found.run, found.elsewhere) == (run, True)
    with pytest.raises(UsageError, match="run-not-found"):
        resolve("latest", Storage(run.home), "repo")


def test_the_latest_is_the_newest_that_fits(make_run: MakeRun, story: Story) -> None:
    make_run(story(OLD)[:7], stem=OLD)
    run = make_run(story(NEW))
    fits_nothing = resolve("latest", Storage(run.home), "repo", fits=lambda known: known.resumable)
    assert fits_nothing.run.stem == OLD
    with pytest.raises(UsageError, match="run-not-found"):
        resolve("latest", Storage(run.home), "repo", fits=lambda known: known.live)


# -- documents -----------------------------------------------------------------------------------------------------
def test_documents_name_their_schema_first_and_leave_nothing_out(make_run: MakeRun, story: Story) -> None:
    run = make_run(story(NEW))
    raw = msgspec.json.encode(dlq_document(load_state(run), run.histories()))
    assert raw.startswith(b'{"schema":"prodigy.dlq/1",')
    (item,) = msgspec.json.decode(raw)["items"]
    assert item["item"] == item["item_data"] == {"path": "src/b.py"}
    assert item["text"] == "src/b.py"
    (failure,) = item["failure_history"]
    assert failure["json_log_location"] is None
    assert failure["exit_code"] == 1


def test_dead_letters_are_chosen_by_name(make_run: MakeRun, story: Story) -> None:
    run = make_run(story(NEW))
    state, histories = load_state(run), run.histories()
    for name in ("b", "src/b.py", "#1", "src"):
        assert [item.item_id for item in dlq_document(state, histories, [name]).items] == ["b"]
    with pytest.raises(UsageError, match="item-not-found"):
        dlq_document(state, histories, ["a"])


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (DlqFilter(), 1),
        (DlqFilter(eligible=True), 1),
        (DlqFilter(error_class="timeout"), 0),
        (DlqFilter(error_class="command-failed"), 1),
        (DlqFilter(signature="f" * 16), 0),
    ],
)
def test_the_list_of_dead_letters_is_filtered(
    make_run: MakeRun, story: Story, wanted: DlqFilter, count: int
) -> None:
    run = make_run(story(NEW))
    found = listed(run.home, wanted)
    assert (found.total, found.shown, len(found.items)) == (count, count, count)
