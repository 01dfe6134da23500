"""The marked tree of a workflow file as a typed workflow.

Pure. Every problem is recorded and reading goes on, so that a file shows all of them at once; what could not be
read has a harmless stand-in, and the caller throws the workflow away if there was an error.
"""

from pathlib import PurePath
from typing import Literal

from msgspec import structs

from prodigy.workflow.fields import Field, Reader
from prodigy.workflow.inherited import IDLE_TIMEOUT, Inherited
from prodigy.workflow.language import ITEM_POLICY, MODES, WORKFLOW, WORKTREE
from prodigy.workflow.language_steps import ACTION_NAMES, STEP
from prodigy.workflow.model import MapPhase, Step, StepList, Workflow, WorktreeFiles
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Listing, Mapping, Node, Span
from prodigy.workflow.parse_claude import claude_options
from prodigy.workflow.parse_env import read_environment, read_profiles
from prodigy.workflow.parse_map import read_map
from prodigy.workflow.parse_phases import read_merge, read_own_steps, read_reduce, read_setup, read_steps
from prodigy.workflow.parse_policies import read_budget, read_commit_config, read_limits, read_on_conflict
from prodigy.workflow.parse_retry import read_retry
from prodigy.workflow.parse_steps import StepReader
from prodigy.workflow.problems import Problems, quoted
from prodigy.workflow.standards import NO_STANDARDS, Standards
from prodigy.workflow.templates import Templates
from prodigy.workflow.vocabulary import snake_case

Mode = Literal["sequential", "mapreduce"]

_STEP_SOURCES = ("commands", "goals", "map", "agent_template", "setup", "merge")
"""Keys that give a workflow something to do, wherever they stand."""
_ACTIONS = frozenset(ACTION_NAMES) - {"template"}
_OF_NO_STEP = WORKFLOW.spellings.keys() - STEP.spellings.keys()


def parse(
    root: Node | None,
    problems: Problems,
    templates: Templates | None = None,
    *,
    runs_others: bool = False,
    standards: Standards = NO_STANDARDS,
) -> Workflow:
    """The workflow of a file; meaningless if ``problems`` then hold an error.

    Args:
        root: the composed document.
        problems: where problems go.
        templates: what steps may use, by name.
        runs_others: whether other workflows run in it, or parts of it are missing: it needs no steps of its own.
        standards: what holds for what it does not say.
    """
    name = PurePath(problems.file).stem
    if isinstance(root, Mapping):
        reader = Reader(problems, templates, standards)
        if _is_step(root):
            return _lone_step(root, reader, name)
        return _Document(root, reader, runs_others=runs_others).workflow(name)
    if isinstance(root, Listing):
        return _bare_list(root, Reader(problems, standards=standards), name)
    if root is None or root.is_null:
        problems.error("no-steps", "the file is empty", root or Span())
    else:
        problems.error(
            "wrong-type", "a workflow is a list of steps or a mapping with `commands` or `map`", root
        )
    return Workflow(name=name, mode="sequential")


def _bare_list(root: Listing, reader: Reader, name: str) -> Workflow:
    mark = reader.mark(root)
    steps = read_steps(reader, root, Inherited())
    if not steps:
        reader.problems.error("no-steps", "the file has no steps", root)
    body = StepList(steps=steps, timeout=reader.standards.phase_timeout, mark=mark)
    return Workflow(name=name, mode="sequential", steps=body, mark=mark)


def _is_step(root: Mapping) -> bool:
    """Whether a file is one step instead of a list of them."""
    keys = {key.text for key, _ in root.entries}
    return not keys.isdisjoint(_ACTIONS) and keys.isdisjoint(_OF_NO_STEP)


def _lone_step(root: Mapping, reader: Reader, name: str) -> Workflow:
    """Refuse a step where a workflow should be, and say what else is wrong with it."""
    action = next(key for key, _ in root.entries if key.text in _ACTIONS)
    message = f"unknown key {quoted(action.text)} in the workflow: this is one step, and a workflow is a list of them"
    hint = "begin the first line with `- ` and indent the others"
    reader.problems.error("unknown-key", message, action, hint)
    steps = read_steps(reader, root, Inherited())
    return Workflow(name=name, mode="sequential", steps=StepList(steps=steps, mark=reader.mark(root)))


class _Document:
    """A workflow file that is a mapping."""

    def __init__(self, root: Mapping, reader: Reader, *, runs_others: bool) -> None:
        self.root = root
        self.problems = reader.problems
        self.reader = reader
        self.runs_others = runs_others
        self.fields = self.reader.fields(root, WORKFLOW)
        self.inherited = self._inherited()

    def workflow(self, name: str) -> Workflow:
        reader, get = self.reader, self.fields.get
        mode = self._mode()
        standard = Workflow(name=name, mode=mode)
        max_capture = reader.fixed_size(get("max_capture"))
        inherit = reader.boolean(get("inherit"))
        return structs.replace(
            standard,
            name=reader.filled(get("name")) or name,
            description=reader.text(get("description")),
            version=reader.text(get("version")),
            author=", ".join(reader.texts(get("author"))) or None,
            tags=reader.texts(get("tags")),
            steps=self._commands(mode),
            setup=read_setup(reader, get("setup"), self.inherited),
            map=self._map(mode),
            reduce=read_reduce(reader, get("reduce"), self.inherited),
            merge=read_merge(reader, get("merge"), self.inherited),
            on_failure=self._steps("on_failure"),
            on_success=self._steps("on_success"),
            verify=self._steps("verify"),
            environment=read_environment(reader, self.fields),
            profiles=read_profiles(reader, get("profiles")),
            active_profile=reader.filled(get("active_profile")),
            inherit=standard.inherit if inherit is None else inherit,
            timeout=reader.limit(get("timeout"), None),
            grace=standard.grace if self.inherited.grace is None else self.inherited.grace,
            on_conflict=read_on_conflict(reader, get("on_conflict")),
            claude=self.inherited.claude,
            idle_timeout=self.inherited.idle_timeout,
            worktree=self._worktree(get("worktree")),
            budget=read_budget(reader, get("budget")),
            max_concurrent_starts=reader.integer(get("max_concurrent_starts"), 1)
            or standard.max_concurrent_starts,
            max_capture=standard.max_capture if max_capture is None else max_capture,
            mark=reader.mark(self.root),
        )

    def _inherited(self) -> Inherited:
        """What the workflow gives to every step that does not say otherwise."""
        reader, get = self.reader, self.fields.get
        commit = reader.boolean(get("auto_commit"))
        retry = get("retry_defaults")
        plain = Inherited(
            auto_commit=True if commit is None else commit,
            commit=read_commit_config(reader, get("commit_config"), None),
            grace=reader.fixed_seconds(get("grace")),
            idle_timeout=reader.limit(get("idle_timeout"), IDLE_TIMEOUT),
            shell_program=reader.filled(get("shell_program")) or Inherited().shell_program,
            claude=claude_options(reader, self.fields),
            limits=read_limits(reader, get("limits"), None),
        )
        if retry is None:
            return plain
        fallback = StepReader(reader, plain).handlers
        return structs.replace(plain, retry=read_retry(reader, retry, None, fallback))

    def _steps(self, name: str) -> tuple[Step, ...]:
        return read_own_steps(self.reader, self.fields.get(name), self.inherited)

    def _mode(self) -> Mode:
        """What kind of workflow it is; everything that does not fit its mode is a problem."""
        has_map = self.fields.attempted(("map",))
        entry = self.fields.get("mode")
        said = self._said_mode(entry)
        found = self.fields.get("map")
        if said is None:
            if found is not None and entry is None:
                self.problems.note("mode-implied", "`map` makes this a MapReduce workflow", found.key)
            return "mapreduce" if has_map else "sequential"
        if entry is not None and said == "mapreduce" and not has_map:
            self.problems.error("missing-key", "`mode: mapreduce` needs a `map`", entry.key)
        if entry is not None and said == "sequential" and found is not None:
            hint = "write `mode: mapreduce`, or leave `mode` out"
            self.problems.error("bad-mode", "the mode is sequential, but there is a `map`", entry.value, hint)
        return "mapreduce" if said == "mapreduce" else "sequential"

    def _said_mode(self, entry: Field | None) -> str | None:
        text = self.reader.text(entry)
        if entry is None or text is None:
            return None
        mode = MODES.get(snake_case(text).replace("_", ""))
        if mode is None:
            meant = nearest(text.strip().lower(), MODES)
            hint = f"did you mean {quoted(meant)}?" if meant else "use `sequential` or `mapreduce`"
            self.problems.error("bad-enum", f"{quoted(text)} is not a mode", entry.value, hint)
        return mode

    def _map(self, mode: Mode) -> MapPhase | None:
        entry = self.fields.get("map")
        if mode == "sequential":
            self._without_items()
        if entry is None or mode != "mapreduce":
            return None
        return read_map(self.reader, entry, self.fields, self.inherited)

    def _without_items(self) -> None:
        """Keys that speak of items do nothing in a plain workflow."""
        for name, entry in self.fields.found.items():
            if name in ITEM_POLICY or name == "map.max_parallel":
                message = f"{quoted(entry.key.text)} speaks of items, and there is no `map`"
                self.reader.no_effect(entry.key, message)

    def _commands(self, mode: Mode) -> StepList | None:
        """The steps of a plain workflow; beside ``map`` they are a mistake, and so is ``reduce`` without it."""
        entry = self.fields.get("commands")
        steps = self._steps("commands")
        if mode == "mapreduce":
            if entry is not None and steps:
                message = f"{quoted(entry.key.text)} and `map` in one file"
                hint = "steps before the items go under `setup:`, steps after them under `reduce:`"
                self.problems.error("conflicting-keys", message, entry.key, hint)
            return None
        reduce = self.fields.get("reduce")
        if reduce is not None:
            hint = "steps of a plain workflow stand under `commands:`"
            self.problems.error("conflicting-keys", "`reduce` without `map`", reduce.key, hint)
        elsewhere = self.runs_others or self.problems.partial or reduce is not None
        if not steps and not elsewhere and not (entry is None and self.fields.attempted(_STEP_SOURCES)):
            at = self.root if entry is None else entry.key
            hint = "put a list of steps under `commands:`"
            self.problems.error("no-steps", "the workflow has no steps", at, hint)
        mark = self.reader.mark(self.root if entry is None else entry.value)
        return StepList(steps=steps, timeout=self.reader.standards.phase_timeout, mark=mark)

    def _worktree(self, entry: Field | None) -> WorktreeFiles:
        if entry is None:
            return WorktreeFiles()
        reader = self.reader
        fields = reader.inside(entry, WORKTREE)
        setup, key = fields.get("setup"), fields.get("setup_key")
        if key is not None and not fields.attempted(("setup",)):
            reader.no_effect(
                key.key, f"{quoted(key.key.text)} says when `setup` runs again, and there is none"
            )
        return WorktreeFiles(
            include=reader.texts(fields.get("include")),
            keep=reader.texts(fields.get("keep")),
            setup=read_own_steps(reader, setup, self.inherited),
            setup_key=reader.texts(key),
        )
