"""What `prodigy clean dlq` takes out of the queues: items whose last failure is long ago."""

from prodigy.actors.launch import random_uuid
from prodigy.cli.disposing import Outcome, Wanted
from prodigy.cli.here import repository_here
from prodigy.cli.invocation import Invocation
from prodigy.cli.removal import Removed
from prodigy.cli.text import counted, duration
from prodigy.errors import ProdigyError
from prodigy.ids import tail_of
from prodigy.job.items import item_text
from prodigy.store.evictions import evict
from prodigy.store.runs import with_dead_letters


def clean_letters(invocation: Invocation, wanted: Wanted, outcome: Outcome) -> None:
    """Items leave the queue with ``force`` only; their records and rescue refs stay."""
    if wanted.older_than is None:
        return
    repo = repository_here(invocation, all_repos=wanted.all_repos)
    around = invocation.around
    oldest = around.now() - wanted.older_than
    for run, state in with_dead_letters(invocation.storage, repo):
        letters = [letter for letter in state.dead_letters.values() if letter.last_attempt <= oldest]
        if not letters:
            continue
        if not wanted.force:
            outcome.keep(f"dlq  {run.job_id}", f"{counted(len(letters), 'item')}; `--force` removes them")
            continue
        try:
            gone = letters
            if not wanted.dry_run:
                names = [letter.item_id for letter in letters]
                criterion = f"older than {duration(wanted.older_than.total_seconds())}"
                gone = evict(
                    run, names, "purged", criterion, now=around.now, uuid=random_uuid, argv=invocation.argv
                )
        except ProdigyError as error:
            outcome.keep(f"dlq  {run.job_id}", f"{error.code}: {error.message}", code=1)
        else:
            outcome.removed += [
                Removed(what=f"dlq  {tail_of(run.job_id)}  {item_text(one.item, one.item_id)}", bytes=0)
                for one in gone
            ]
