"""What older programs kept in a project is taken over: once, whole, and nothing of the project's own is touched."""

import errno
import hashlib
import os
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prodigy.errors import MachineError
from prodigy.store import migration
from prodigy.store.migration import Report, is_there, migrate

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
DATA = {
    "session_state.json": "sessions/app/legacy/session_state.json",
    "session_mapreduce.json": "sessions/app/legacy/session_mapreduce.json",
    "cook-1234567890.json": "sessions/app/legacy/cook-1234567890.json",
    "events/mapreduce-1/20240101.json": "events/app/mapreduce-1/legacy/20240101.json",
    "events/mapreduce-1/checkpoint.json": "events/app/mapreduce-1/legacy/checkpoint.json",
    "dlq/mapreduce-1.json": "dlq/app/mapreduce-1/legacy/mapreduce-1.json",
    "dlq/mapreduce-2/items/a.json": "dlq/app/mapreduce-2/legacy/items/a.json",
    "state/mapreduce/jobs/x/checkpoint-v1.json": "state/app/legacy/state/mapreduce/jobs/x/checkpoint-v1.json",
    "checkpoints/{odd} name.json": "state/app/legacy/checkpoints/{odd} name.json",
}
"""Both old layouts, and where each file goes."""
OWN = (
    "config.yml",
    "validation-result.json",
    "workflow.schema.json",
    "workflows/mine.yml",
    "notes/events/x/a.json",
)
"""What is the project's."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "app" / ".prodigy"
    for name in (*DATA, *OWN):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def untracked(_files: Collection[str]) -> Collection[str]:
    return ()


def take(
    project: Path, home: Path, tracked: Callable[[Collection[str]], Collection[str]] | None = None
) -> Report:
    return migrate(project, home, "app", NOW, tracked)


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def copies(home: Path) -> dict[str, str]:
    found = content(home)
    return {name: text for name, text in found.items() if "/legacy/" in name}


def whole(home: Path) -> bool:
    return copies(home) == {dest: f"this is {source}" for source, dest in DATA.items()}


def test_data_is_copied_and_the_project_stays_as_it_was(project: Path, home: Path) -> None:
    before = content(project)
    assert take(project, home) == Report(copied=len(DATA))
    assert whole(home)
    assert content(project) == before
    for taken in migration.migration(home, "app").taken:
        source = (project / taken.source).read_bytes()
        assert (taken.sha256, taken.size) == (hashlib.sha256(source).hexdigest(), len(source))
        assert (home / taken.dest).read_bytes() == source
        assert (home / taken.dest).stat().st_mode & 0o777 == 0o600


def test_a_second_time_nothing_is_done(project: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(project, home)
    monkeypatch.setattr(migration, "_digest", lambda _file: pytest.fail("nothing is read again"))
    assert take(project, home) == Report()
    assert whole(home)


def test_what_changed_since_is_copied_beside_the_first(project: Path, home: Path) -> None:
    take(project, home)
    for number in (2, 3):
        (project / "session_state.json").write_text(f"another {number}")
        assert take(project, home) == Report(copied=1)
    legacy = home / "sessions/app/legacy"
    assert (legacy / "session_state.json").read_text() == "this is session_state.json"
    assert (legacy / "session_state.2.json").read_text() == "another 2"
    assert (legacy / "session_state.3.json").read_text() == "another 3"


@pytest.mark.parametrize("number", range(1, len(DATA) + 2))
def test_one_that_was_cut_off_goes_on(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whichever write was the last: what is there is whole, and the next start does the rest, once."""
    calls = 0
    write = migration.write_parts

    def failing(path: Path, parts: object) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise MachineError("storage-full", "No space left on device")
        write(path, parts)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(migration, "write_parts", failing)
        if number <= len(DATA):
            with pytest.raises(MachineError):
                take(project, home)
            assert len(copies(home)) == number - 1
        else:
            take(project, home)
    take(project, home)
    assert whole(home)


def test_notes_that_were_lost_cost_no_second_copy(project: Path, home: Path) -> None:
    take(project, home)
    (home / "state/app/migration.json").unlink()
    take(project, home)
    assert whole(home)


def test_a_copy_that_reads_otherwise_is_refused(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: Path, _parts: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    monkeypatch.setattr(migration, "write_parts", cut)
    with pytest.raises(MachineError, match="storage-denied"):
        take(project, home)
    assert migration.migration(home, "app").taken == []


# -- removal -------------------------------------------------------------------------------------------------------
def test_what_was_copied_is_removed_if_that_is_asked_for(project: Path, home: Path) -> None:
    assert take(project, home, untracked) == Report(copied=len(DATA), removed=len(DATA))
    assert whole(home)
    assert set(content(project)) == {*OWN}
    assert {path.name for path in project.iterdir()} == {name.split("/")[0] for name in OWN}
    assert take(project, home, untracked) == Report()


def test_what_git_tracks_is_not_removed(project: Path, home: Path) -> None:
    done = take(project, home, lambda files: {"session_state.json"} & set(files))
    assert done.removed == len(DATA) - 1
    assert "tracked by git" in done.left[0]
    assert (project / "session_state.json").exists()


def test_what_was_not_copied_as_it_is_is_not_removed(project: Path, home: Path) -> None:
    """The copy was changed; the source, with its time and size as they were."""
    take(project, home)
    (home / DATA["session_state.json"]).write_text("changed")
    queue = project / "dlq/mapreduce-1.json"
    state = queue.stat()
    queue.write_text("this is dlq/mapreduce-X.json")
    os.utime(queue, ns=(state.st_atime_ns, state.st_mtime_ns))
    done = take(project, home, untracked)
    assert done.removed == len(DATA) - 2
    assert set(done.left) == {
        f"{name} is not what was copied" for name in (project / "session_state.json", queue)
    }
    assert queue.exists()


def test_the_folder_itself_is_never_removed(tmp_path: Path, home: Path) -> None:
    project = tmp_path / "app/.prodigy"
    project.mkdir(parents=True)
    (project / "session_state.json").write_text("{}")
    assert take(project, home, untracked).removed == 1
    assert list(project.iterdir()) == []


# -- borders -------------------------------------------------------------------------------------------------------
def test_links_are_not_followed(project: Path, home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.json").write_text("secret")
    (project / "events" / "linked").symlink_to(outside)
    (project / "dlq" / "linked.json").symlink_to(outside / "a.json")
    (project / "events/mapreduce-1/linked.json").symlink_to(outside / "a.json")
    take(project, home, untracked)
    assert whole(home)
    assert (outside / "a.json").exists()


def test_a_very_large_file_is_left_where_it_is(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "LARGEST", 25)
    done = take(project, home)
    assert done.copied == sum(len(f"this is {name}") <= 25 for name in DATA)
    assert done.left


def test_a_project_that_cannot_be_written_is_read(project: Path, home: Path) -> None:
    folders = [project, *(path for path in project.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert take(project, home) == Report(copied=len(DATA))
    finally:
        for folder in folders:
            folder.chmod(0o700)


def test_removal_that_is_refused_is_told(project: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(MachineError, match="storage-denied"):
        take(project, home, untracked)
    monkeypatch.undo()
    assert whole(home)
    assert take(project, home, untracked).removed == len(DATA)


def test_a_project_without_data(tmp_path: Path) -> None:
    project = tmp_path / ".prodigy"
    assert not is_there(project)
    project.mkdir()
    (project / "config.yml").write_text("")
    (project / "events").mkdir()
    assert not is_there(project)
    (project / "session_state.json").write_text("{}")
    assert is_there(project)
