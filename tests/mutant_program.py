"""``prodigy`` without one option of steps: ``python mutant_program.py OPTION WORD…`` is ``prodigy WORD…``.

The key is taken away when a mapping of a step is read, so that nothing beyond the reader knows that it was there, in
this process or in the workers, which get the plan that was read. What the reader and the checker then find wrong is
let pass: a mutant is a product that accepts the option and does nothing about it. Mappings with ``x-frame`` keep it.
"""

import sys
from collections.abc import Callable

from prodigy.cli.main import main
from prodigy.workflow.keys import Fields, KeyReader
from prodigy.workflow.nodes import Mapping, Placed
from prodigy.workflow.problems import Problems, Severity
from prodigy.workflow.vocabulary import Vocabulary

STEPS = frozenset({"a step", "`on_failure`", "`on_incomplete`", "`test`"})
"""Titles of the vocabularies that options of steps stand in."""
ELSEWHERE = {
    "retry_on": ("retry_on", frozenset({"`retry`"})),
    "retry_fallback": ("on_failure", frozenset({"`retry`"})),
    "handler_timeout": ("timeout", frozenset({"`on_failure`"})),
    "handler_capture": ("capture", frozenset({"`on_failure`"})),
}
"""Options that are a key of something else."""

Add = Callable[..., None]
Read = Callable[[KeyReader, Mapping, Vocabulary], Fields]


def mutated(read: Read, option: str) -> Read:
    """A reader of keys that passes one over."""
    name, titles = ELSEWHERE.get(option, (option, STEPS))

    def fields(reader: KeyReader, node: Mapping, vocabulary: Vocabulary) -> Fields:
        found = read(reader, node, vocabulary)
        if vocabulary.title not in titles or any(key.text == "x-frame" for key, _ in node.entries):
            return found
        return found.without({name})

    return fields


def passed(add: Add) -> Add:
    """A collection of problems in which nothing is worse than a warning."""

    def added(
        problems: Problems, severity: Severity, code: str, message: str, at: Placed, *hints: str
    ) -> None:
        add(problems, "warning" if severity == "error" else severity, code, message, at, *hints)

    return added


if __name__ == "__main__":
    KeyReader.fields = mutated(KeyReader.fields, sys.argv.pop(1))  # type: ignore[method-assign]
    Problems.add = passed(Problems.add)  # type: ignore[method-assign]
    sys.exit(main())
