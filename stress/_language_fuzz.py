"""The worker of ``fuzz_language``: makes inputs by number, hands each to what reads it, tells what it did wrong.

``python -m stress._language_fuzz SEED FIRST STEP END PROGRESS``: inputs FIRST, FIRST + STEP … below END; the number in
work stands in the file PROGRESS, a line of JSON on standard output is a finding. A last line holds figures.
"""

import json
import mmap
import random
import re
import resource
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from prodigy.steps.scores import score_of
from prodigy.workflow import language, language_steps
from prodigy.workflow.compose import Document
from prodigy.workflow.expression import BadExpression, evaluate, parse_expression
from prodigy.workflow.item_rules import Rules, choose
from prodigy.workflow.json_path import BadJsonPath, find
from prodigy.workflow.load import load_workflow
from prodigy.workflow.model import Workflow
from prodigy.workflow.ordering import parse_field, parse_sort, sort_items
from prodigy.workflow.patterns import TIME_LIMIT, PatternTimeout, find_pattern
from prodigy.workflow.problems import WorkflowInvalid
from prodigy.workflow.scope import ComputedKind, resolve
from prodigy.workflow.scope import Path as Route
from prodigy.workflow.select import BadInput, read_content
from prodigy.workflow.shell_quote import render_shell
from prodigy.workflow.template import render_text
from prodigy.workflow.values import TemplateError
from prodigy.workflow.vocabulary import Vocabulary
from stress._inspection import peak
from stress._language_corpus import CONTENTS, PATHS, PATTERNS, SORTS, corpus, tree_of
from stress._mutations import NASTY, Grafts, mutated, mutated_tree
from supervisors._reaper import PR_SET_PDEATHSIG, prctl

SLOW = 1.0
"""Seconds of the processor that one input may take."""
GREEDY = 64 * 2**20
"""Bytes by which one input may raise the most memory that the worker ever had."""
ROOM = 1024 * 2**20
"""Bytes of address space that a worker may take beyond what it starts with."""

KEYS = sorted({
    spelling
    for module in (language, language_steps)
    for value in vars(module).values()
    if isinstance(value, Vocabulary)
    for spelling in value.spellings
} | {"x-a", ".a", "A", "item", "<<", "extends"})  # fmt: skip
PROLOGUE = re.compile(r"(?:\w+='(?:[^']|'\\'')*'\n)*")
PRIVATE = re.compile(r"__p_*\d+")
CHANGES_VALUES = re.compile(r"\$\{[^}]*(?::(?!-)|\|)")
"""A modifier or filter: what is left of a value depends on the value."""


class Broken(Exception):
    """A law does not hold."""


class Values:
    """A scope of plain values."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def lookup(self, path: Route) -> Any:
        return resolve(self.values, path)

    def knows(self, root: str) -> bool:
        return root in self.values

    def names(self) -> list[str]:
        return list(self.values)

    def secret(self, path: Route) -> str | None:
        return "TOKEN" if path in {("secret",), ("env", "secret")} else None

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        return f"{kind} {argument}"


def deep(levels: int) -> Any:
    """Lists in lists."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = (
    "$(touch x)",
    "'; exit 1; '",
    '"`id`"',
    "\\",
    "-n",
    "a\nEOF\nE\nb",
    "${text}",
    "*",
    "",
    " ",
    "é\u2028",
    "1",
    "x.rs",
)
ITEMS: list[Any] = [
    {"n": 5, "path": "a b/c.rs", "tags": ["a", "b"], "f": "xyz", "a b": [{"c": 1}], "done": False},
    {"n": "12", "path": "", "tags": [], "score": 1.5, "item": {"x": 1}, "value": None},
    {}, [], None, True, "text", 7, 2**70, -(10**400), 1e308, float("inf"), float("nan"), deep(60), "9" * 500,
    list(HOSTILE), {"a": {"b": {"c": deep(3)}}}, {"n": None, "": "", "é": "\0"},
]  # fmt: skip
WILD = Values({
    "item": ITEMS[0], "text": HOSTILE[0], "list": list(HOSTILE), "number": 12, "n": 2**70, "nothing": None, "yes": True,
    "float": float("nan"), "deep": deep(60), "map": {"results": ITEMS, "total": 3}, "objects": [{"a": 1}, {"b": "x"}],
    "secret": "hunter2", "env": {"HOME": "/h", "secret": "hunter2"}, "v": {"success": False, "output": "\0"}, "index": 3,
})  # fmt: skip
_PLACES = ("item", "text", "nothing", "env", "v", "index", "number", "f", "x", "a")
TAME, HARSH = (
    Values({name: {"x": f"{word}{n}", "a": [word]} if name in {"item", "v"} else f"{word}{n}" for n, name in enumerate(_PLACES)}
           | {"list": [f"{word}1", f"{word}2"], "number": 12})
    for word in ("tame", "$(x)'\"`y`\n\\")
)  # fmt: skip


class FewFiles:
    """Other files of a workflow: some of the corpus, by number."""

    def find(self, reference: str, importer: str) -> Document | None:
        del importer
        if "missing" in reference:
            return None
        texts = corpus().workflows
        place = sum(map(ord, reference)) % len(texts)
        return Document(f"{place}.yml", texts[place].encode())


# What is tried ---------------------------------------------------------------------------------------------------
def try_workflow(text: str, chance: random.Random) -> None:
    """Any text is a workflow or a list of problems that can be shown, and a workflow survives being sent."""
    name = chance.choice(("wf.yml", "wf.yml", "wf.json"))
    given = chance.choice((None, {}, {"n": 1, "env": "dev"}))
    try:
        loaded = load_workflow(
            text.encode(errors="surrogatepass"), name, library=FewFiles(), parameters=given
        )
    except WorkflowInvalid as invalid:
        if not invalid.report() or not any(problem.severity == "error" for problem in invalid.problems):
            raise Broken("refused without an error") from None
        return
    if any(problem.severity == "error" for problem in loaded.problems):
        raise Broken("accepted with an error")
    if msgspec.json.decode(msgspec.json.encode(loaded.workflow), type=Workflow) != loaded.workflow:
        raise Broken("another workflow after it was sent")


def try_expression(text: str, chance: random.Random) -> None:
    names = chance.choice(("variables", "item", "value"))
    expression = parse_expression(text, names)
    expression.references()
    for index in range(3):
        evaluate(expression, WILD, chance.choice(ITEMS), index, total=3)


def try_template(text: str, chance: random.Random) -> None:
    del chance
    render_text(text, WILD)


def try_script(text: str, chance: random.Random) -> None:
    """What a script does besides naming values does not depend on them."""
    del chance
    bodies = [body for body in (body_of(text, scope) for scope in (TAME, HARSH)) if body is not None]
    if len(set(bodies)) > 1 and not CHANGES_VALUES.search(text):
        raise Broken(f"values become code: {bodies}")
    render_shell(text, WILD)


def body_of(text: str, scope: Values) -> str | None:
    """A script without what is put before it."""
    try:
        script = render_shell(text, scope)
    except TemplateError:
        return None
    return PRIVATE.sub("__p", script[PROLOGUE.match(script).end() :])  # type: ignore[union-attr]


def try_sort(text: str, chance: random.Random) -> None:
    sort_items(chance.sample(ITEMS, 6), parse_sort(text))
    choose(ITEMS, Rules(sort_by=text, distinct="n"))
    parse_field(text)


def try_path(text: str, chance: random.Random) -> None:
    find(text, chance.choice(({"items": ITEMS[:3]}, ITEMS[:6], "x", None, {"a b": {"n": [1, 2]}})))


def try_pattern(text: str, chance: random.Random) -> None:
    find_pattern(text, chance.choice(HOSTILE) * chance.choice((1, 40)), limit=0.3)


def try_content(text: str, chance: random.Random) -> None:
    score = score_of(text, chance.choice((None, 0, 1)))
    if not 0 <= score <= 100:
        raise Broken(f"a score of {score}")
    read_content(text.encode(errors="surrogatepass"), chance.choice(("", ".csv", ".yml", ".json", ".jsonl")))


ALLOWED = (TemplateError, BadExpression, BadJsonPath, BadInput)
Trial = Callable[[str, random.Random], None]
TRIALS: dict[str, tuple[int, Trial, Callable[[], tuple[str, ...]]]] = {
    "workflow": (6, try_workflow, lambda: corpus().workflows),
    "tree": (6, try_workflow, lambda: corpus().workflows),
    "expression": (28, try_expression, lambda: corpus().expressions),
    "template": (20, try_template, lambda: corpus().templates),
    "script": (28, try_script, lambda: corpus().scripts),
    "sort": (3, try_sort, lambda: SORTS),
    "path": (3, try_path, lambda: PATHS),
    "pattern": (2, try_pattern, lambda: PATTERNS),
    "content": (4, try_content, lambda: CONTENTS),
}
"""By name: how many of a hundred inputs, what reads them, and what they are made of."""
NAMES = list(TRIALS)
WEIGHTS = [weight for weight, _, _ in TRIALS.values()]


@cache
def grafts() -> Grafts:
    """What stands where in the workflows of the corpus."""
    return Grafts(corpus().trees, KEYS)


@cache
def sound() -> tuple[str, ...]:
    """Those workflows of the corpus that load."""
    return tuple(text for text in corpus().workflows if is_sound(text))


def is_sound(text: str) -> bool:
    try:
        load_workflow(text.encode(), "wf.yml", library=FewFiles())
    except WorkflowInvalid:
        return False
    return True


def make(seed: int, number: int) -> tuple[str, str, random.Random]:
    """Input ``number``: the name of its trial, its text, and the random numbers that go on."""
    chance = random.Random(f"{seed} {number}")
    name = chance.choices(NAMES, WEIGHTS)[0]
    texts = TRIALS[name][2]()
    if name in {"workflow", "tree"} and chance.random() < 0.8:
        texts = sound()
    text = chance.choice(texts)
    tree = tree_of(text) if name == "tree" else None
    if tree is not None:
        return name, mutated_tree(tree, grafts(), chance), chance
    return name, mutated(text, (*texts, *NASTY), chance), chance


def tried(seed: int, number: int, counts: Counter[str]) -> Iterator[str]:
    """What is wrong about one input."""
    name, text, chance = make(seed, number)
    counts[name] += 1
    began, limit, most = time.process_time(), SLOW, most_memory()
    try:
        TRIALS[name][1](text, chance)
    except ALLOWED as error:
        counts["refused"] += 1
        if any(isinstance(cause, PatternTimeout) for cause in (error, error.__context__)):
            limit += TIME_LIMIT
    except Broken as broken:
        yield f"{name}: {broken}"
    except Exception:  # noqa: BLE001 - anything else is what is looked for
        yield f"{name}: {traceback.format_exc(limit=-6)}"
    took = time.process_time() - began
    if took > limit:
        yield f"{name}: took {took:.1f} s"
    if most_memory() - most > GREEDY:
        yield f"{name}: took {(most_memory() - most) // 2**20} MiB"


def most_memory() -> int:
    """Bytes of memory that this process has had at most. Cheap, so that each input can be asked about."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(seed: int, first: int, step: int, end: int, progress: str) -> None:
    """Try some numbers."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    counts: Counter[str] = Counter()
    grafts()
    sound()
    bound_memory()
    with Path(progress).open("r+b") as file, mmap.mmap(file.fileno(), 8) as place:
        for number in range(first, end, step):
            struct.pack_into("q", place, 0, number)
            for fault in tried(seed, number, counts):
                print(json.dumps({"number": number, "fault": fault}), flush=True)
    print(json.dumps({"counts": counts, "peak": peak("self")}), flush=True)


def bound_memory() -> None:
    """What takes too much memory fails here, and not the machine."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:5]]
    main(given[0], given[1], given[2], given[3], sys.argv[5])
