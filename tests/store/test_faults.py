"""Whatever call the disk fails at: a state is the old one or the new one, and nothing acknowledged is lost."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID

import msgspec
import pytest
from faulty_disk import SURVIVALS, Fault, FaultyDisk, Survival
from msgspec.structs import replace

from prodigy import events
from prodigy.errors import ProdigyError
from prodigy.events import AnyEvent, Metadata, Record
from prodigy.job.fold import apply, fold
from prodigy.job.plan import plan_of
from prodigy.paths import Layout
from prodigy.store.asked import asked, write_asked
from prodigy.store.atomic import remove_file, write_file
from prodigy.store.journal import Entry, JournalWriter, read, segments
from prodigy.store.locks import JobLock, holder, this_process
from prodigy.store.projections import Projections

METADATA = Metadata(host="h", pid=1, boot_id="b")
START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
WAYS: list[tuple[Fault, Survival | None]] = [
    *((fault, None) for fault in get_args(Fault) if fault != "power"),
    *(("power", survival) for survival in SURVIVALS),
]
each_way = pytest.mark.parametrize(("fault", "survival"), WAYS)


def entry(number: int) -> Entry:
    event = events.ItemSelected(index=number, item_id=f"i{number}", item="x" * 50)
    return Entry(event, UUID(int=7), START + timedelta(seconds=number), UUID(int=number))


def each_call(
    place: Path,
    fault: Fault,
    survival: Survival | None,
    before: Callable[[Path], None],
    act: Callable[[Path], None],
) -> list[Path]:
    """``act`` with the fault at its first call, its second and so on; the folders that it leaves, the last one clean."""
    left = []
    for at in itertools.count():
        folder = place / str(at)
        folder.mkdir()
        before(folder)
        disk = FaultyDisk(folder, fault, at)
        with disk.failing():
            try:
                act(folder)
            except ProdigyError as error:
                assert error.code in {"storage-full", "storage-denied"}  # noqa: PT017 - the disk may also work
        if survival is not None:  # at the latest when all is done
            disk.lose_power(survival)
        left.append(folder)
        if not disk.reached:
            return left
    raise AssertionError


# -- the journal ---------------------------------------------------------------------------------------------------
def begun(folder: Path, segment_bytes: int = 1 << 20) -> list[Record]:
    """A journal with two groups."""
    writer = JournalWriter(folder, METADATA, segment_bytes=segment_bytes)
    records = [*writer.append([entry(1)]), *writer.append([entry(2), entry(3)])]
    writer.close()
    return records


@pytest.mark.parametrize("segment_bytes", [1, 1 << 20], ids=["a segment a group", "one segment"])
@each_way
def test_what_was_acknowledged_is_in_the_journal(
    tmp_path: Path, fault: Fault, survival: Survival | None, segment_bytes: int
) -> None:
    acknowledged: dict[Path, list[Record]] = {}

    def before(folder: Path) -> None:
        acknowledged[folder] = begun(folder, segment_bytes)

    def act(folder: Path) -> None:
        writer = JournalWriter.open_existing(read(folder), METADATA, segment_bytes=segment_bytes)
        try:
            for group in ([entry(4)], [entry(5), entry(6)], [entry(7)]):
                acknowledged[folder] += writer.append(group)
        finally:
            writer.close()

    for folder in (left := each_call(tmp_path, fault, survival, before, act)):
        known = acknowledged[folder]
        found = list(read(folder))
        assert found[: len(known)] == known
        assert [record.seq for record in found] == list(range(1, len(found) + 1))
        again = JournalWriter.open_existing(read(folder), METADATA, segment_bytes=segment_bytes)
        more = again.append([entry(99)])
        again.close()
        assert list(read(folder)) == found + more
    assert len(acknowledged[left[-1]]) == 7
    assert len(left) > 8


@each_way
def test_a_torn_tail_is_where_it_was_or_moved_aside(
    tmp_path: Path, fault: Fault, survival: Survival | None
) -> None:
    torn = b'{"v":1,"seq":4,' + b"x" * 100

    def before(folder: Path) -> None:
        begun(folder)
        (path,) = segments(folder)
        with path.open("ab") as file:
            file.write(torn)
        path.with_name("events-20991231-235959-000.jsonl").write_bytes(b"later")

    def act(folder: Path) -> None:
        JournalWriter.open_existing(read(folder), METADATA).close()

    for folder in each_call(tmp_path, fault, survival, before, act):
        assert len(list(read(folder))) == 3
        inside = b"".join(path.read_bytes() for path in segments(folder))
        kept = [path.read_bytes() for path in folder.glob("torn-*")]
        assert inside.endswith(torn + b"later") or torn + b"later" in kept
        JournalWriter.open_existing(read(folder), METADATA).close()
        assert read(folder).damage is None
        assert torn + b"later" in [path.read_bytes() for path in folder.glob("torn-*")]


# -- whole files -----------------------------------------------------------------------------------------------------
@each_way
def test_a_file_is_the_old_one_or_the_new_one(
    tmp_path: Path, fault: Fault, survival: Survival | None
) -> None:
    done: set[Path] = set()

    def before(folder: Path) -> None:
        (folder / "file").write_bytes(b"old" * 100)

    def act(folder: Path) -> None:
        write_file(folder / "file", b"new" * 90)
        done.add(folder)

    for folder in each_call(tmp_path, fault, survival, before, act):
        now = (folder / "file").read_bytes()
        assert now in {b"old" * 100, b"new" * 90}
        assert now == b"new" * 90 or folder not in done


@each_way
def test_a_file_in_a_new_folder_is_whole_or_not_there(
    tmp_path: Path, fault: Fault, survival: Survival | None
) -> None:
    done: set[Path] = set()

    def act(folder: Path) -> None:
        write_file(folder / "deep" / "er" / "file", b"new" * 90)
        done.add(folder)

    for folder in each_call(tmp_path, fault, survival, lambda _: None, act):
        path = folder / "deep" / "er" / "file"
        assert path.read_bytes() == b"new" * 90 if path.exists() else folder not in done


@each_way
def test_a_removed_file_stays_removed(tmp_path: Path, fault: Fault, survival: Survival | None) -> None:
    done: set[Path] = set()

    def act(folder: Path) -> None:
        remove_file(folder / "file")
        done.add(folder)

    for folder in each_call(
        tmp_path, fault, survival, lambda folder: write_file(folder / "file", b"old"), act
    ):
        path = folder / "file"
        assert not path.exists() if folder in done else not path.exists() or path.read_bytes() == b"old"


# -- what stands around them -----------------------------------------------------------------------------------------
Story = Callable[[], list[AnyEvent]]


def started_in(story: list[AnyEvent]) -> events.JobStarted:
    started = story[0]
    assert isinstance(started, events.JobStarted)
    return started


def recorded(event: AnyEvent, number: int) -> Record:
    told = entry(number)
    return Record(
        v=1, seq=number, id=told.id, timestamp=told.timestamp, correlation_id=told.correlation_id, event=event
    )


@each_way
def test_a_lock_is_nobodys_afterwards(tmp_path: Path, fault: Fault, survival: Survival | None) -> None:
    """Whether it was taken or not, and whatever of its holder's name was written."""

    def act(folder: Path) -> None:
        with JobLock.acquire(folder / "locks" / "job.lock", since=START, argv=("prodigy", "resume")):
            taken.add(folder)

    taken: set[Path] = set()
    for folder in (left := each_call(tmp_path, fault, survival, lambda _: None, act)):
        path = folder / "locks" / "job.lock"
        assert holder(path) is None
        with JobLock.acquire(path, since=START):
            assert holder(path) == this_process(START)
    assert left[-1] in taken
    assert len(left) > len(taken) or fault == "power"


@each_way
def test_what_was_asked_is_all_there_or_not_at_all(
    tmp_path: Path, fault: Fault, survival: Survival | None, story: Story
) -> None:
    """A workflow that takes the place of another leaves that one as it was."""
    started = started_in(story())
    first, second = plan_of(started), plan_of(replace(started, workflow_sha256="1" * 64))
    job, done = first.job_id, set[Path]()

    def before(folder: Path) -> None:
        write_asked(Layout(folder, "repo"), first, b"first", START)

    def act(folder: Path) -> None:
        write_asked(Layout(folder, "repo"), second, b"second", START, replaces=True)
        done.add(folder)

    for folder in each_call(tmp_path, fault, survival, before, act):
        layout = Layout(folder, "repo")
        assert asked(layout, job) == asked(layout, job, first.workflow_sha256) == first
        new = asked(layout, job, second.workflow_sha256)
        assert new == second or (new is None and folder not in done)
        if new is not None:
            assert (layout.state(job) / "workflow-11111111.yml").read_bytes() == b"second"


@each_way
def test_projections_are_right_again_when_the_disk_is(
    tmp_path: Path, fault: Fault, survival: Survival | None, story: Story
) -> None:
    """Each file is an old one or a new one meanwhile, and none of them ends a run: a dead letter comes, then it goes."""
    removed = events.DlqItemRemoved(item_id="b", reason="retried")
    told = [recorded(event, number) for number, event in enumerate((*story(), removed), 1)]
    plan = plan_of(started_in(story()))

    def projections(folder: Path) -> Projections:
        return Projections(Layout(folder, "repo"), lambda: START, pid=1)

    def act(folder: Path) -> None:
        state, ours = fold(told[:9]), projections(folder)
        for record in told[9:]:
            apply(state, record)
            ours.heard(state, record)

    def files(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes().replace(str(folder).encode(), b"home")
            for path in folder.rglob("*.json")
        }

    model = tmp_path / "model"
    projections(model).write_everything(fold(told))
    for folder in (left := each_call(tmp_path, fault, survival, lambda _: None, act)):
        for content in files(folder).values():
            msgspec.json.decode(content)
        projections(folder).write_everything(fold(told))
        assert not list(Layout(folder, "repo").dead_letters(plan.job_id).glob("*.json"))
        assert files(folder) == files(model)
    assert len(left) > 20
