"""What old runs left: which of it goes, and what stays whatever is asked."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from stories import OTHER, START, STEM, Write, half, whole

from prodigy import events, ids
from prodigy.configuration.settings import BY_NAME
from prodigy.errors import RunError
from prodigy.events import AnyEvent
from prodigy.ids import Stem
from prodigy.job.fold import fold
from prodigy.paths import Layout, Storage
from prodigy.store import disposal
from prodigy.store.journal import read, segments
from prodigy.store.locks import JobLock
from prodigy.store.projections import Projections
from prodigy.store.repos import register

THIRD = "20261120-081500-m2c4tt"
OLD = "10m"
"""The runs of these tests are an hour old."""
PLACES = ("sessions", "logs", "state", "events")


def merged(stem: str) -> list[AnyEvent]:
    """A run that is over: merged, cleaned up, nothing in its queue."""
    branch = f"prodigy-session-mapreduce-{stem}"
    return [
        *half(stem, "over"),
        events.JobCompleted(duration_ms=1000, success_count=1),
        events.WorktreeMerged(intent=1, what="final", target_branch="main", old="a", new="b", strategy="git"),
        events.WorktreeCleaned(intent=1, path="/w", branches=(branch,)),
    ]


class Home:
    """Runs with everything that they leave."""

    def __init__(self, desk: Any, write: Write) -> None:
        self.desk = desk
        self.write = write
        self.layout = Layout(desk.home, "here")

    def run(self, stem: str, story: list[AnyEvent]) -> None:
        job = ids.job_id(Stem(stem), "mapreduce")
        self.write(stem, story)
        Projections(self.layout, lambda: START).write_everything(fold(read(self.layout.journal(job))))
        for folder in (self.layout.state(job), self.layout.logs(job)):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "file").write_text("x" * 100)

    def places(self, stem: str) -> set[str]:
        job, session = ids.job_id(Stem(stem), "mapreduce"), ids.session_id(Stem(stem), "mapreduce")
        folders = {
            "sessions": self.layout.session_state(session).parent,
            "logs": self.layout.logs(job),
            "state": self.layout.state(job),
            "events": self.layout.journal(job),
        }
        return {kind for kind, folder in folders.items() if folder.exists()}

    def clean(self, *words: str, code: int = 0) -> dict[str, Any]:
        said = self.desk.call(*words, "--json")
        assert said.code == code, said.out + said.err
        document: dict[str, Any] = json.loads(said.out)
        return document


@pytest.fixture
def home(desk: Any, write: Write) -> Home:
    home = Home(desk, write)
    home.run(STEM, whole(STEM, "letters"))
    home.run(OTHER, half(OTHER, "cut"))
    home.run(THIRD, merged(THIRD))
    return home


# -- clean ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", PLACES)
def test_of_runs_that_are_over_what_is_old_goes(home: Home, kind: str) -> None:
    """And nothing else; what is kept is told with the reason."""
    before = home.clean("clean", kind, "--older-than", OLD, "--dry-run")
    assert home.places(THIRD) == {*PLACES}
    document = home.clean("clean", kind, "--older-than", OLD, "--yes")
    assert document | {"dry_run": True} == before
    assert [one["what"].split()[0] for one in document["removed"]] == [kind]
    assert document["bytes"] > 0
    assert home.places(THIRD) == {*PLACES} - {kind}
    assert home.places(STEM) == home.places(OTHER) == {*PLACES}
    assert [one["why"] for one in sorted(document["kept"], key=lambda one: str(one["what"]))] == [
        "interrupted: it can be resumed",
        "1 in the dead letter queue",
    ]


def test_what_is_young_stays(home: Home) -> None:
    document = home.clean("clean", "all")
    assert (document["removed"], document["kept"]) == ([], [])
    assert home.clean("clean", "all", "--older-than", "2h", "--yes")["removed"] == []


def test_all_is_all_of_it(home: Home) -> None:
    home.clean("clean", "all", "--older-than", OLD, "--yes")
    assert home.places(THIRD) == set()
    assert home.places(STEM) == home.places(OTHER) == {*PLACES}
    assert "h8w1zz" in home.desk.call("status").out


def test_force_takes_what_has_value_and_never_what_runs(home: Home) -> None:
    lock = JobLock.acquire(home.layout.job_lock(ids.job_id(Stem(OTHER), "mapreduce")), since=START)
    document = home.clean("clean", "logs", "--older-than", OLD, "--force")
    assert [one["why"] for one in document["kept"]] == ["it is running: `prodigy stop` ends it"]
    assert (home.places(OTHER), home.places(STEM)) == ({*PLACES}, {*PLACES} - {"logs"})
    lock.release()
    home.clean("clean", "events", "--older-than", OLD, "--force")
    assert home.desk.call("events").out == "Nothing has run yet\n"


def test_journals_are_asked_about(home: Home) -> None:
    said = home.desk.call("clean", "events", "--older-than", OLD)
    assert (said.code, said.err.splitlines()[0]) == (2, "error: confirmation-needed")
    assert home.places(THIRD) == {*PLACES}


def test_what_no_run_is_known_for_goes_by_its_own_age(home: Home) -> None:
    """Logs of a run whose journal is gone; other folders are left alone."""
    stray = home.layout.logs(ids.job_id(Stem("20261101-081500-aaaaaa"), "mapreduce"))
    mine = stray.parent / "notes"
    for folder in (stray, mine):
        folder.mkdir()
        (folder / "file").write_text("x")
    os.utime(stray, (0, 0))
    os.utime(mine, (0, 0))
    home.clean("clean", "logs")
    assert (stray.exists(), mine.exists()) == (False, True)


def test_a_removal_that_was_cut_off_is_finished_by_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees half of a journal meanwhile."""

    def refuse(_folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(disposal.shutil, "rmtree", refuse)
        document = home.clean("clean", "events", "--older-than", OLD, "--yes", code=1)
    assert "storage-denied" in document["kept"][-1]["why"] + document["kept"][0]["why"]
    assert home.places(THIRD) == {*PLACES} - {"events"}
    assert list(home.layout.events.glob(".gone-*"))
    home.clean("clean", "events", "--yes")
    assert not list(home.layout.events.glob(".gone-*"))


def test_a_run_that_went_on_meanwhile_is_left_alone(home: Home) -> None:
    [place] = [
        one for one in disposal.places("logs", Storage(home.desk.home), "here") if one.run.stem == THIRD
    ]
    [segment] = segments(home.layout.journal(place.run.job_id))
    segment.write_bytes(segment.read_bytes() * 2)
    with pytest.raises(RunError, match="already-running"):
        disposal.dispose(place, START, ())
    assert place.folder.exists()


def test_letters_go_with_force_only(home: Home) -> None:
    document = home.clean("clean", "dlq", "--older-than", OLD)
    assert [one["why"] for one in document["kept"]] == ["1 item; `--force` removes them"]
    assert home.clean("clean", "dlq", "--force")["removed"] == [], "kept for ever"
    assert len(home.clean("clean", "dlq", "--older-than", OLD, "--force")["removed"]) == 1
    assert home.desk.call("dlq", "list").out == "No item is in the dead letter queue\n"


def test_every_repository(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / ".git"
    for folder in ("objects", "refs"):
        (elsewhere / folder).mkdir(parents=True)
    (elsewhere / "HEAD").write_text("ref: refs/heads/main\n")
    register(home.desk.home, elsewhere, worktree=elsewhere.parent, root_commits=(), now=START)
    home.desk.directory = elsewhere.parent
    assert home.clean("clean", "logs", "--older-than", OLD)["removed"] == []
    assert len(home.clean("clean", "logs", "--older-than", OLD, "--all-repos")["removed"]) == 1


# -- sessions clean ------------------------------------------------------------------------------------------------
def test_sessions_are_cleaned(home: Home) -> None:
    assert home.clean("sessions", "clean")["removed"] == [], "of this week"
    assert home.clean("sessions", "clean", "--all", "--dry-run")["bytes"] > 0
    home.clean("sessions", "clean", "--older-than", OLD)
    assert home.places(THIRD) == {*PLACES} - {"sessions"}
    home.clean("sessions", "clean", "--all", "--force")
    assert home.places(OTHER) == home.places(STEM) == {*PLACES} - {"sessions"}
    assert len(home.clean("sessions", "ls")["sessions"]) == 3


# -- events clean --------------------------------------------------------------------------------------------------
def test_a_bound_has_to_be_given(home: Home) -> None:
    said = home.desk.call("events", "clean")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: missing-argument")


@pytest.mark.parametrize(
    ("bound", "gone"),
    [
        (["--older-than", OLD], True),
        (["--older-than", "30d"], False),
        (["--max-events", "30"], True),
        (["--max-events", "1000"], False),
        (["--max-size", "1KiB"], True),
        (["--max-size", "1GiB"], False),
        (["--older-than", OLD, "--job-id", STEM], False),
        (["--older-than", OLD, "--job-id", THIRD], True),
    ],
)
def test_journals_beyond_a_bound_go(home: Home, bound: list[str], gone: bool) -> None:
    document = home.clean("events", "clean", *bound, "-f")
    assert bool(document["removed"]) == gone
    assert ("events" in home.places(THIRD)) != gone
    assert "events" in home.places(STEM) & home.places(OTHER), "whatever is asked"


def test_journals_are_kept_in_the_archive(home: Home, tmp_path: Path) -> None:
    job = ids.job_id(Stem(THIRD), "mapreduce")
    [segment] = segments(home.layout.journal(job))
    content, before = segment.read_bytes(), home.desk.call("events", THIRD, "--limit", "0").out
    document = home.clean("events", "clean", "--older-than", OLD, "--archive")
    assert len(document["removed"]) == 1
    packed = home.desk.home / "archive/here" / job / f"{segment.name}.gz"
    assert gzip.decompress(packed.read_bytes()) == content
    assert packed.stat().st_mode & 0o777 == 0o600
    assert home.desk.call("events", "--file", str(packed), "--limit", "0").out == before
    os.utime(packed.parent, (0, 0))
    home.clean("clean", "archive")
    assert not packed.exists()


def test_another_place_for_the_archive(home: Home, tmp_path: Path) -> None:
    home.clean("events", "clean", "--older-than", OLD, "--archive-path", str(tmp_path / "kept"))
    assert len(list((tmp_path / "kept/here").glob("*/events-*.gz"))) == 1


def test_an_archive_that_cannot_be_written_costs_no_journal(home: Home, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    document = home.clean(
        "events", "clean", "--older-than", OLD, "--archive-path", str(tmp_path / "file"), code=1
    )
    assert any("storage-denied" in one["why"] for one in document["kept"])
    assert home.places(THIRD) == {*PLACES}


# -- configuration -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", PLACES)
def test_how_long_a_kind_is_kept_is_configured(home: Home, kind: str) -> None:
    """The flag counts before it; what is kept for ever is never old enough."""
    file = home.desk.home / "config.yml"
    file.write_text(f"retention: {{{kind}: {OLD}}}")
    document = home.clean("clean", "all", "--dry-run")
    assert [one["what"].split()[0] for one in document["removed"]] == [kind]
    assert home.clean("clean", kind, "--older-than", "2h", "--dry-run")["removed"] == []
    file.write_text(f"retention: {{{kind}: none}}")
    assert home.clean("clean", kind, "--dry-run")["removed"] == []
    assert home.clean("clean", kind, "--older-than", OLD, "--dry-run")["removed"] != []


def test_dead_letters_go_only_if_that_is_configured(home: Home) -> None:
    assert home.clean("clean", "dlq")["kept"] == []
    (home.desk.home / "config.yml").write_text(f"retention: {{dlq: {OLD}}}")
    assert [one["why"] for one in home.clean("clean", "dlq")["kept"]] == ["1 item; `--force` removes them"]


@pytest.mark.parametrize(
    ("kind", "days"), [("worktrees", 7), ("logs", 30), ("archive", 365), ("rescue", None)]
)
def test_how_long_they_are_kept_otherwise(kind: str, days: int | None) -> None:
    assert BY_NAME[f"retention.{kind}"].default == (None if days is None else days * 86_400)
