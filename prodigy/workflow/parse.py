"""The marked tree of a workflow file as a typed workflow.

Pure. Every problem is recorded and reading goes on, so that a file shows all of them at once; what could not be
read has a harmless stand-in, and the caller throws the workflow away if there was an error.
"""

from pathlib import PurePath
from typing import Literal

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.json_path import check_json_path
from prodigy.workflow.language import (
    AGENT_TEMPLATE,
    INPUT,
    MAP,
    MODES,
    REDUCE,
    SETUP,
    WORKFLOW,
    Vocabulary,
)
from prodigy.workflow.model import MapInput, MapPhase, Mark, Step, StepList, Workflow
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Listing, Mapping, Node, Span, value_of
from prodigy.workflow.parse_steps import StepReader, looks_like
from prodigy.workflow.problems import Problems, quoted

Mode = Literal["sequential", "mapreduce"]


def parse(root: Node | None, problems: Problems) -> Workflow:
    """The workflow of a file; meaningless if ``problems`` then hold an error."""
    name = PurePath(problems.file).stem
    if isinstance(root, Mapping):
        return _Document(root, problems).workflow(name)
    if isinstance(root, Listing):
        return _bare_list(root, problems, name)
    if root is None or root.is_null:
        problems.error("no-steps", "the file is empty", root or Span())
    else:
        problems.error(
            "wrong-type", "a workflow is a list of steps or a mapping with `commands` or `map`", root
        )
    return Workflow(name=name, mode="sequential")


def _bare_list(root: Listing, problems: Problems, name: str) -> Workflow:
    reader = StepReader(Reader(problems), auto_commit=True)
    mark = reader.mark(root)
    steps = reader.steps(root)
    if not steps:
        problems.error("no-steps", "the file has no steps", root)
    return Workflow(name=name, mode="sequential", steps=StepList(steps=steps, mark=mark), mark=mark)


class _Document:
    """A workflow file that is a mapping."""

    def __init__(self, root: Mapping, problems: Problems) -> None:
        self.root = root
        self.problems = problems
        self.reader = Reader(problems)
        self.fields = self.reader.fields(root, WORKFLOW)
        commit = self.reader.boolean(self.fields.get("auto_commit"))
        self.auto_commit = commit is None or commit

    def workflow(self, name: str) -> Workflow:
        reader, get = self.reader, self.fields.get
        mode = self._mode()
        grace = reader.seconds(get("grace"))
        return Workflow(
            name=reader.text(get("name")) or name,
            mode=mode,
            description=reader.text(get("description")),
            version=reader.text(get("version")),
            author=reader.text(get("author")),
            tags=reader.texts(get("tags")),
            steps=self._commands(mode),
            setup=self._phase("setup", SETUP),
            map=self._map(mode),
            reduce=self._phase("reduce", REDUCE, nested_is_old=True),
            timeout=reader.limit(get("timeout"), None),
            grace=5.0 if grace is None else grace,
            mark=self._mark(self.root),
        )

    def _mark(self, node: Node) -> Mark:
        return Mark(self.problems.file, node.line, node.column)

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
        mode = MODES.get(text.strip().lower())
        if mode is None:
            meant = nearest(text.strip().lower(), MODES)
            hint = f"did you mean {quoted(meant)}?" if meant else "use `sequential` or `mapreduce`"
            self.problems.error("bad-enum", f"{quoted(text)} is not a mode", entry.value, hint)
        return mode

    def _commands(self, mode: Mode) -> StepList | None:
        """The steps of a plain workflow; beside ``map`` they are a mistake, and so is ``reduce`` without it."""
        entry = self.fields.get("commands")
        steps: tuple[Step, ...] = ()
        if entry is not None:
            steps = self._steps(entry.value)
        if mode == "mapreduce":
            if entry is not None and steps:
                message = f"{quoted(entry.key.text)} and `map` in one file"
                hint = "steps before the items go under `setup:`, steps after them under `reduce:`"
                self.problems.error("conflicting-keys", message, entry.key, hint)
            return None
        reduce = self.fields.get("reduce")
        if reduce is not None:
            self.problems.error("conflicting-keys", "`reduce` without `map`", reduce.key)
        if not steps and not (entry is None and self.fields.attempted(_STEP_SOURCES)):
            at = self.root if entry is None else entry.key
            hint = "put a list of steps under `commands:`"
            self.problems.error("no-steps", "the workflow has no steps", at, hint)
        return StepList(steps=steps, mark=self._mark(self.root if entry is None else entry.value))

    def _steps(self, node: Node, *, auto_commit: bool | None = None) -> tuple[Step, ...]:
        inherited = self.auto_commit if auto_commit is None else auto_commit
        return StepReader(self.reader, auto_commit=inherited).steps(node)

    def _phase(self, name: str, vocabulary: Vocabulary, *, nested_is_old: bool = False) -> StepList | None:
        """``setup`` or ``reduce``: a step list, or a mapping around one."""
        entry = self.fields.get(name)
        if entry is None:
            return None
        node, fields = self._nested(entry, vocabulary, nested_is_old=nested_is_old)
        commit = self.reader.boolean(fields.get("auto_commit"))
        steps = () if node is None else self._steps(node, auto_commit=commit)
        timeout = self.reader.limit(fields.get("timeout"), None)
        return StepList(steps=steps, timeout=timeout, mark=self._mark(entry.value))

    def _nested(
        self, entry: Field, vocabulary: Vocabulary, *, nested_is_old: bool
    ) -> tuple[Node | None, Fields]:
        """The node that holds the steps, and the options around it."""
        node = entry.value
        if not isinstance(node, Mapping) or not looks_like(node, vocabulary):
            return node, Fields({})
        fields = self.reader.fields(node, vocabulary)
        commands = fields.get("commands")
        if commands is None:
            if not fields.attempted(("commands",)):
                self.problems.error("missing-key", f"{vocabulary.title} needs `commands`", entry.key)
            return None, fields
        if nested_is_old:
            message = f"{quoted(commands.key.text)} inside {vocabulary.title} is the old form"
            hint = f"put the steps right under `{entry.key.text}:`"
            self.problems.warning("deprecated-key", message, commands.key, hint)
        return commands.value, fields

    def _map(self, mode: Mode) -> MapPhase | None:
        entry = self.fields.get("map")
        if entry is None or mode != "mapreduce":
            return None
        if not isinstance(entry.value, Mapping):
            self.reader.wrong_type(entry.value, "`map`", "a mapping with `input` and `agent_template`")
            return None
        return self._map_phase(entry, self.reader.fields(entry.value, MAP))

    def _map_phase(self, entry: Field, fields: Fields) -> MapPhase:
        reader, get = self.reader, fields.get
        parallel = reader.integer(self._max_parallel(fields), 1)
        item_id = get("item_id")
        return MapPhase(
            input=self._input(entry, fields),
            agent_template=self._agent_template(entry, fields),
            json_path=self._json_path(get("json_path")),
            max_parallel=10 if parallel is None else parallel,
            max_items=reader.integer(get("max_items"), 0),
            offset=reader.integer(get("offset"), 0) or 0,
            item_id=reader.text(item_id),
            item_id_mark=self._mark(item_id.value if item_id else entry.value),
            input_timeout=reader.limit(get("input_timeout"), 300.0),
            agent_timeout=reader.limit(get("agent_timeout_secs"), None),
            mark=self._mark(entry.value),
        )

    def _max_parallel(self, fields: Fields) -> Field | None:
        """``map.max_parallel``, which older files have at the top level."""
        inner, outer = fields.get("max_parallel"), self.fields.get("map.max_parallel")
        if inner is not None and outer is not None:
            message = f"{quoted(outer.key.text)} is given here and under `map:`"
            self.problems.error("conflicting-keys", message, outer.key, "keep the one under `map:`")
        return inner or outer

    def _json_path(self, entry: Field | None) -> str:
        path = self.reader.text(entry)
        if entry is not None and path is not None:
            check_json_path(path, entry.value, self.problems)
        return path or ""

    def _agent_template(self, owner: Field, fields: Fields) -> tuple[Step, ...]:
        entry = fields.get("agent_template")
        if entry is None:
            if not fields.attempted(("agent_template",)):
                hint = "the steps that one agent runs for its item"
                self.problems.error("missing-key", "`map` needs `agent_template`", owner.key, hint)
            return ()
        node, options = self._nested(entry, AGENT_TEMPLATE, nested_is_old=True)
        if node is None:
            return ()
        steps = self._steps(node, auto_commit=self.reader.boolean(options.get("auto_commit")))
        if not steps:
            self.problems.error("no-steps", "`agent_template` has no steps", entry.key)
        return steps

    def _input(self, owner: Field, fields: Fields) -> MapInput:
        entry = fields.get("input")
        if entry is None:
            if not fields.attempted(("input",)):
                hint = "a file, a command that prints the items, or a list"
                self.problems.error("missing-key", "`map` needs `input`", owner.key, hint)
            return MapInput(source="list")
        if isinstance(entry.value, Mapping):
            return self._input_mapping(entry.value)
        return self._input_of(entry, "auto")

    def _input_mapping(self, node: Mapping) -> MapInput:
        fields = self.reader.fields(node, INPUT)
        given = list(fields.found.values())
        if len(given) > 1:
            names = " and ".join(quoted(entry.key.text) for entry in given)
            self.problems.error(
                "conflicting-keys", f"`map.input` has {names}", given[1].key, "keep one of them"
            )
        if not given:
            if not fields.suspected:
                message = "`map.input` needs one of `list`, `file` and `command`"
                self.problems.error("missing-key", message, node)
            return MapInput(source="list")
        entry = given[0]
        if entry.name == "list":
            if not isinstance(entry.value, Listing):
                self.reader.wrong_type(entry.value, "`map.input.list`", "a list")
            return self._input_of(entry, "auto")
        return self._input_of(entry, "file" if entry.name == "file" else "command")

    def _input_of(self, entry: Field, source: Literal["auto", "file", "command"]) -> MapInput:
        """A list stands for itself; a text is read later, by what ``source`` says."""
        mark = self._mark(entry.value)
        if isinstance(entry.value, Listing) and source == "auto":
            items = tuple(value_of(item) for item in entry.value.items)
            return MapInput(source="list", items=items, mark=mark)
        text = self.reader.text(entry)
        if text is not None and not text.strip():
            self.problems.error("bad-value", f"{quoted(entry.key.text)} is empty", entry.value)
        return MapInput(source=source, text=text or "", mark=mark)


_STEP_SOURCES = ("commands", "goals", "template", "extends", "imports", "workflows", "map")
