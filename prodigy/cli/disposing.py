"""``prodigy clean``, ``sessions clean`` and ``events clean``: which folders of runs go, which stay and why."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.cli.options import seconds
from prodigy.cli.removal import Kept, Removed, bytes_below, removal, tell_removal
from prodigy.cli.text import counted
from prodigy.errors import ProdigyError, UsageError
from prodigy.store.disposal import Place, PlaceKind, dispose, places, sweep, why_kept
from prodigy.store.journal import last_seq
from prodigy.store.runs import Run

NOT_OLD = "not old enough"


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be removed.

    ``older_than`` says how old; ``None``: nothing is old enough. ``force`` takes what still has value too and does
    not ask; ``yes`` only does not ask. ``archive``: where journals go before they are removed.
    """

    older_than: timedelta | None = None
    dry_run: bool = False
    force: bool = False
    yes: bool = False
    all_repos: bool = False
    archive: Path | None = None


class Outcome:
    """What became of everything that was found."""

    def __init__(self) -> None:
        self.removed: list[Removed] = []
        self.kept: list[Kept] = []
        self.code = 0

    def keep(self, what: str, why: str, *, code: int = 0) -> None:
        """Something stays."""
        self.kept.append(Kept(what=what, why=why))
        self.code = max(self.code, code)


def age_of(text: str | None, flag: str = "--older-than") -> timedelta | None:
    """The value of a flag that is a duration."""
    return None if text is None else timedelta(seconds=seconds(text, flag))


def tell(
    invocation: Invocation, outcome: Outcome, *, dry_run: bool, nothing: str = "Nothing to remove"
) -> int:
    """Print it; the exit code."""
    tell_removal(invocation, removal(outcome.removed, outcome.kept, dry_run=dry_run), nothing)
    return outcome.code


def clean_places(kind: PlaceKind, invocation: Invocation, wanted: Wanted, outcome: Outcome) -> None:
    """Remove the folders of one kind that are old enough.

    Raises:
        UsageError: ``confirmation-needed``.
    """
    oldest, now = wanted.older_than, invocation.around.now()

    def why(place: Place) -> str | None:
        if oldest is None or place.touched_at > now - oldest:
            return NOT_OLD
        return why_kept(place, force=wanted.force)

    remove(kind, _found(kind, invocation, wanted), invocation, wanted, outcome, why)


def _found(kind: PlaceKind, invocation: Invocation, wanted: Wanted) -> Iterator[Place]:
    repo = repository_here(invocation, all_repos=wanted.all_repos)
    if not wanted.dry_run:
        sweep(kind, invocation.storage, repo)
    yield from places(kind, invocation.storage, repo)


def remove(
    kind: PlaceKind,
    found: Iterator[Place],
    invocation: Invocation,
    wanted: Wanted,
    outcome: Outcome,
    why: Callable[[Place], str | None],
) -> None:
    """Remove those of some folders for which there is no reason to stay; asks before journals."""
    doomed: list[Place] = []
    for place in found:
        reason = why(place)
        if reason is None:
            doomed.append(place)
        elif reason != NOT_OLD:
            outcome.keep(_name(place), reason)
    asks = kind == "events" and wanted.archive is None and not (wanted.force or wanted.yes or wanted.dry_run)
    if doomed and asks and not _agreed(invocation, f"Remove the journals of {counted(len(doomed), 'run')}?"):
        for place in doomed:
            outcome.keep(_name(place), "you said no", code=1)
        return
    for place in doomed:
        _remove(place, invocation, wanted, outcome)


def _remove(place: Place, invocation: Invocation, wanted: Wanted, outcome: Outcome) -> None:
    size = bytes_below([place.folder])
    archive = None if wanted.archive is None else wanted.archive / place.run.repo
    try:
        if not wanted.dry_run:
            dispose(place, invocation.around.now(), invocation.argv, archive)
    except ProdigyError as error:
        outcome.keep(_name(place), f"{error.code}: {error.message}", code=1)
    else:
        outcome.removed.append(Removed(what=_name(place), bytes=size))


def _agreed(invocation: Invocation, question: str) -> bool:
    from prodigy.cli.upkeep import Upkeep

    return Upkeep(invocation).confirmed(question)


def _name(place: Place) -> str:
    return f"{place.kind}  {place.folder.name}"


# -- journals ------------------------------------------------------------------------------------------------------
class Bounds(Struct, frozen=True, kw_only=True):
    """How much of journals may stay: none older than ``age``, at most so many events and bytes, the newest first."""

    age: timedelta | None = None
    events: int | None = None
    bytes: int | None = None


def clean_journals(
    invocation: Invocation, job: str | None, bounds: Bounds, wanted: Wanted, outcome: Outcome
) -> None:
    """Remove whole journals of runs that have ended, until the bounds hold.

    Raises:
        UsageError: ``missing-argument``: no bound; ``confirmation-needed``; ``run-not-found``.
    """
    if bounds == Bounds():
        raise UsageError(
            "missing-argument",
            "`events clean` needs to know what may stay",
            hint="give `--older-than 90d`, `--max-events N` or `--max-size 1GiB`",
        )
    run = None if job is None else run_called(job, invocation)
    found = [place for place in _found("events", invocation, wanted) if run is None or place.run == run]
    if run is not None and not found:  # of another repository
        found = [place for place in places("events", invocation.storage, run.repo) if place.run == run]
    excess = _excess(found, bounds, invocation)
    remove(
        "events",
        iter(found),
        invocation,
        wanted,
        outcome,
        lambda place: why_kept(place, force=False) if place.run in excess else NOT_OLD,
    )


def _excess(found: Sequence[Place], bounds: Bounds, invocation: Invocation) -> set[Run]:
    """The runs whose journals are beyond a bound; those that cannot go make room for no other."""
    now, over, events, size = invocation.around.now(), set(), 0, 0
    for place in reversed(found):
        events += last_seq(place.folder) or 0
        size += place.size
        if (
            (bounds.age is not None and place.touched_at <= now - bounds.age)
            or (bounds.events is not None and events > bounds.events)
            or (bounds.bytes is not None and size > bounds.bytes)
        ):
            over.add(place.run)
    return over
