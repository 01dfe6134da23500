"""What may come next on a command line: verbs, flags, values that are known, runs and items.

Nothing is offered that a shell would read as more than a word.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from cyclopts import App
from cyclopts.argument import Argument

from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.errors import ProdigyError
from prodigy.ids import tail_of
from prodigy.job.items import item_text
from prodigy.store.runs import LATEST, all_runs, load_state

_PLAIN: Final = re.compile(r"[\w./:@%+,=~-]+")
_RUN_FLAGS: Final = frozenset({"--run", "--job", "--job-id", "--workflow-id", "--session", "--resume"})
_RUN_NAMES: Final = frozenset({"RUN", "JOB", "NAME", "ID"})
"""What arguments are called that are runs."""
_ITEM_FLAGS: Final = frozenset({"--item"})
_MANY: Final = 200


def candidates(app: App, words: Sequence[str], invocation: Invocation) -> list[str]:
    """The words that may stand in the place of the last of ``words``, which may be empty; no verb comes first.

    Nothing where a file may stand, or where nothing is known.
    """
    *before, current = words or [""]
    verb, rest = _verb(app, before)
    found: Iterable[str]
    taken = _value_of(app, verb, rest)
    if taken is not None:
        found = _values(taken, rest, invocation)
    elif current.startswith("-"):
        found = _flags(app, verb)
    elif names := list(_verbs(verb)):
        found = names
    else:
        found = _arguments(verb, invocation)
    return sorted({word for word in found if word.startswith(current) and _PLAIN.fullmatch(word)})


def _verb(app: App, words: Sequence[str]) -> tuple[App, list[str]]:
    """The verb that is typed already, and the words that are none of its names."""
    verb, rest = app, list[str]()
    for word in words:
        if word in _verbs(verb):
            verb = verb[word]
        else:
            rest.append(word)
    return verb, rest


def _verbs(verb: App) -> Iterator[str]:
    yield from (name for name in verb if not name.startswith("-") and verb[name].show)


def _parameters(app: App, verb: App) -> list[Argument]:
    own = verb.assemble_argument_collection() if verb is not app and verb.default_command else ()
    return [*own, *app.meta.assemble_argument_collection()]


def _flags(app: App, verb: App) -> Iterator[str]:
    yield from ("--help", "--version", "--install-completion") if verb is app else ("--help",)
    for parameter in _parameters(app, verb):
        if parameter.parameter.show is not False:
            yield from (name for name in parameter.names if _is_flag(name, parameter))


def _is_flag(name: str, parameter: Argument) -> bool:
    """Whether it is one of ours, and none that the parser would make of it."""
    made = re.fullmatch(r"--(?:no|empty)-(.+)", name)
    return name.startswith("-") and (made is None or f"--{made[1]}" not in parameter.names)


def _value_of(app: App, verb: App, words: Sequence[str]) -> Argument | None:
    """The flag whose value comes next."""
    last = words[-1] if words else ""
    if not last.startswith("-"):
        return None
    meant = (one for one in _parameters(app, verb) if last in one.names)
    return next((one for one in meant if one.token_count()[0] > 0), None)


def _values(flag: Argument, words: Sequence[str], invocation: Invocation) -> Iterable[str]:
    if _RUN_FLAGS & set(flag.names):
        return _runs(invocation)
    if _ITEM_FLAGS & set(flag.names):
        return _items(words, invocation)
    return flag.get_choices() or ()


def _arguments(verb: App, invocation: Invocation) -> Iterable[str]:
    """Runs, where the verb takes one."""
    if verb.default_command is None:
        return ()
    names = {name for one in verb.assemble_argument_collection() for name in one.names}
    return _runs(invocation) if names & (_RUN_NAMES | {"--run"}) else ()


def _runs(invocation: Invocation) -> Iterator[str]:
    """The runs of this repository by their short names."""
    try:
        repo = repository_here(invocation, all_repos=False)
    except ProdigyError:
        return
    known = all_runs(invocation.storage, repo)[:_MANY]
    yield from (LATEST,) if known else ()
    yield from (tail_of(run.stem) for run in known)


def _items(words: Sequence[str], invocation: Invocation) -> Iterator[str]:
    """The items of the run that is named already, else of the newest."""
    for name in (*words, LATEST):
        try:
            state = load_state(run_called(name, invocation))
        except ProdigyError:
            continue
        items = islice(state.items.values(), _MANY)
        yield from (item_text(item.item, item.item_id) for item in items)
        return
