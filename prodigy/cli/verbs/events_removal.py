"""``prodigy events clean``: whole journals of runs that have ended."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prodigy.cli.disposing import Bounds, Outcome, Wanted, age_of, clean_journals, tell
from prodigy.cli.event_lines import JobOption, place_of
from prodigy.cli.invocation import Given
from prodigy.cli.options import Positive
from prodigy.errors import UsageError


def clean(  # noqa: PLR0913 - one parameter per flag
    job: JobOption = None,
    *,
    older_than: Annotated[str | None, Parameter(metavar="TIME")] = None,
    max_events: Positive | None = None,
    max_size: Annotated[str | None, Parameter(metavar="SIZE")] = None,
    all_repos: Annotated[bool, Parameter(name=("--all-repos", "--all-jobs"))] = False,
    archive: bool = False,
    archive_path: Annotated[Path | None, Parameter(metavar="DIR")] = None,
    dry_run: bool = False,
    force: Annotated[bool, Parameter(name=("--force", "-f", "--yes", "-y"))] = False,
    invocation: Given,
) -> int:
    """Remove the journals of runs that have ended, were merged and have no dead letters, whole or not at all.

    Args:
        job: Only that of one run.
        older_than: Those whose last record is so old.
        max_events: The oldest ones, until all have so few events together.
        max_size: The oldest ones, until all have so few bytes together, such as 1GiB.
        all_repos: Of every repository, not only of this one.
        archive: Keep a packed copy of each, and do not ask.
        archive_path: Where, instead of the folder archive of the home.
        dry_run: Say what would be removed.
        force: Without asking.
        invocation: Who asks.
    """
    bounds = Bounds(
        age=age_of(older_than), events=max_events, bytes=None if max_size is None else _size(max_size)
    )
    place = invocation.home / "archive" if archive_path is None else place_of(archive_path, invocation)
    kept = place if archive or archive_path is not None else None
    wanted = Wanted(dry_run=dry_run, yes=force, all_repos=all_repos, archive=kept)
    outcome = Outcome()
    clean_journals(invocation, job, bounds, wanted, outcome)
    return tell(invocation, outcome, dry_run=dry_run)


def _size(text: str) -> int:
    from prodigy.workflow.scalars import ScalarError, size

    try:
        return size(text)
    except ScalarError as error:
        raise UsageError("bad-value", f"`{text}` is no value for `--max-size`", hint=str(error)) from None
