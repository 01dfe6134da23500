"""Steps, from marked nodes to the model.

Pure. A step that is wrong still yields a ``Step``, with an empty script where its action could not be read: the
problems are recorded, and what comes after it is judged as if it were there.
"""

from collections.abc import Iterator

from msgspec import structs

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.inherited import Inherited
from prodigy.workflow.language_steps import (
    ACTION_NAMES,
    CLAUDE,
    CLAUDE_NAMES,
    FOREACH_STEP,
    LEGACY_NAMES,
    OF_THE_LAST_STEP,
    STEP,
)
from prodigy.workflow.model import (
    COMPOUND,
    Action,
    Check,
    Claude,
    Environment,
    Expr,
    Mark,
    Retry,
    Shell,
    Step,
)
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar
from prodigy.workflow.parse_actions import absorb_metadata, read_action, read_structured
from prodigy.workflow.parse_capture import read_captures, read_outputs
from prodigy.workflow.parse_claude import claude_options
from prodigy.workflow.parse_command import Plain, command
from prodigy.workflow.parse_env import read_environment
from prodigy.workflow.parse_handlers import read_exit_codes, read_repair, switch_of
from prodigy.workflow.parse_nested import with_foreach
from prodigy.workflow.parse_options import (
    note_useless,
    read_attempts,
    read_detach,
    read_id,
    read_old_output,
    read_shell_program,
    read_working_dir,
)
from prodigy.workflow.parse_policies import read_commit_config, read_limits
from prodigy.workflow.parse_validate import read_check, read_overrides
from prodigy.workflow.parse_write_file import read_path
from prodigy.workflow.problems import quoted
from prodigy.workflow.templates import use

MAX_DEPTH = 16
"""Steps inside each other."""
MAX_EXPANDED = 20_000
"""Steps that the templates of one file may make together."""
_OF_A_USE = frozenset({"template", "with", "name", "description"})
_STRUCTURED = LEGACY_NAMES | {"name", "id", "outputs"}
"""Keys that make a step of the old form, where ``name`` says what runs."""
_RUN_CLAUDE = frozenset({"claude", "foreach", "goal_seek"})
_INHERITED = frozenset(
    {"auto_commit", "commit_config", "grace", "idle_timeout", "shell_program", "limits"}
).union(CLAUDE_NAMES, CLAUDE.spellings)
_OF_SHELL = frozenset({"detach"})


class StepReader:
    """Reads step lists.

    Args:
        reader: of fields and values.
        inherited: what counts where a step says nothing.
        depth: how many steps stand around these.
    """

    def __init__(self, reader: Reader, inherited: Inherited | None = None, depth: int = 0) -> None:
        self.reader = reader
        self.problems = reader.problems
        self.inherited = inherited or Inherited()
        self.depth = depth

    # -- lists -----------------------------------------------------------------------------------------------------
    def steps(self, node: Node) -> tuple[Step, ...]:
        """One step, or a list of steps with lists inside it flattened; plain text runs Claude."""
        return self._items(node, "claude")

    def handlers(self, node: Node) -> tuple[Step, ...]:
        """The same, with plain text for shell commands; one mapping may have several actions."""
        if isinstance(node, Mapping):
            fields = self.reader.fields(node, with_foreach(node, STEP, FOREACH_STEP))
            return self.actions(node, fields)
        return self._items(node, "slash")

    def actions(self, node: Mapping, fields: Fields) -> tuple[Step, ...]:
        """The steps of one mapping with one or more actions: shell first, then Claude, then the others."""
        if "template" in fields.found:
            return self._use(node, fields)
        names = [name for name in ACTION_NAMES if name in fields.found and name != "validate"]
        if len(names) > 1:
            return tuple(self._step(node, fields.without(_of_others(name, names))) for name in names)
        return (self._step(node, fields),)

    # -- single steps ----------------------------------------------------------------------------------------------
    def action(self, entry: Field) -> Step:
        """The step that has this action and nothing else."""
        return self._step(entry.value, Fields({entry.name: entry}))

    def command(self, entry: Field, plain: Plain) -> Step:
        """The step that one text is; ``plain`` is what it is without a prefix."""
        mark = self.mark(entry.value)
        action = command(self.reader.filled(entry) or "", mark, plain)
        return self._finished(entry.value, Fields({}), action)

    def inside(self, fields: Fields | None = None) -> "StepReader":
        """The reader of steps one level deeper; they inherit what ``fields`` say."""
        inherited = self.inherited if fields is None else self._own(fields)
        return StepReader(self.reader, inherited, self.depth + 1)

    def mark(self, node: Node) -> Mark:
        """Where a node stands."""
        return self.reader.mark(node)

    # -- how -------------------------------------------------------------------------------------------------------
    def _items(self, node: Node, plain: Plain) -> tuple[Step, ...]:
        steps: list[Step] = []
        for item in _flat(node):
            if self.problems.full:
                break
            if isinstance(item, Mapping):
                fields = self.reader.fields(item, with_foreach(item, STEP, FOREACH_STEP))
                used = "template" in fields.found
                steps += self._use(item, fields) if used else [self._step(item, fields)]
            else:
                steps.append(self._item(item, plain))
        return tuple(steps)

    def _use(self, node: Mapping, fields: Fields) -> tuple[Step, ...]:
        """The steps that the use of a template stands for, each with the template's parameters."""
        entry = fields.found["template"]
        for key, other in fields.found.items():
            if key not in _OF_A_USE:
                hint = "put it into the steps of the template"
                message = f"{quoted(other.key.text)} cannot stand beside {quoted(entry.key.text)}"
                self.problems.error("conflicting-keys", message, other.key, hint)
        steps = self._expanded(entry, fields)
        if steps is None:
            return (Step(action=Shell("", self.mark(node)), mark=self.mark(node)),)
        return steps

    def _expanded(self, entry: Field, fields: Fields) -> tuple[Step, ...] | None:
        """The template's steps, or ``None`` with the problem recorded."""
        reader = self.reader
        name = reader.filled(entry)
        if name is None or not isinstance(entry.value, Scalar):
            return None
        if name in reader.expanding:
            self.problems.error("import-cycle", f"the template {quoted(name)} uses itself", entry.value)
            return None
        if reader.expanded > MAX_EXPANDED:
            message = f"templates make more than {MAX_EXPANDED:,} steps"
            self.problems.error("yaml-limit", message, entry.value)
            return None
        given = fields.get("with")
        used = use(entry.value, None if given is None else given.value, reader.templates, self.problems)
        if used is None:
            return None
        reader.expanding.append(name)
        steps = StepReader(reader, self.inherited, self.depth).steps(used.steps)
        reader.expanding.pop()
        reader.expanded += len(steps)
        return tuple(structs.replace(step, locals=(*used.locals, *step.locals)) for step in steps)

    def _item(self, node: Scalar, plain: Plain) -> Step:
        if node.is_null:
            self.reader.wrong_type(node, "a step", "a mapping such as `shell: make test`")
            return self._finished(node, Fields({}), Shell(""))
        step = self.command(Field("step", node, node), plain)
        if plain == "claude":
            hint = f"write `{step.kind}: {quoted(step.text)[1:-1]}`"
            self.problems.warning("deprecated-form", "a step that is only text is an old form", node, hint)
        return step

    def _step(self, node: Node, fields: Fields) -> Step:
        if self.depth >= MAX_DEPTH:
            message = f"steps stand inside each other more than {MAX_DEPTH} deep"
            self.problems.error(
                "bad-value", message, node, "put the inner ones into a script or another workflow"
            )
            return Step(action=Shell("", self.mark(node)), mark=self.mark(node))
        action = self._action(node, fields)
        absorb_metadata(self.reader, fields)
        return self._finished(node, fields, action)

    def _finished(self, node: Node, fields: Fields, action: Action) -> Step:
        """The step around its action."""
        reader, get, own = self.reader, fields.get, self._own(fields)
        note_useless(reader, fields, action)
        capturing = read_captures(reader, fields)
        below = self.inside()
        on_success = get("on_success")
        alone = isinstance(action, COMPOUND) or get("detach") is not None
        standard = None if alone else reader.standards.step_timeout
        return Step(
            action=action,
            mark=self.mark(node),
            id=read_id(reader, get("id")),
            name=reader.text(get("name")) or reader.text(get("description")),
            when=self._when(fields, action),
            timeout=reader.limit(get("timeout"), standard),
            timeout_is_standard=standard is not None and get("timeout") is None,
            idle_timeout=own.idle_timeout if isinstance(action, Claude) else None,
            grace=own.grace,
            limits=own.limits,
            retry=self._retry(fields),
            environment=self._environment(fields),
            clear_env=reader.boolean(get("clear_env")) or False,
            working_dir=read_working_dir(reader, get("working_dir")),
            captures=capturing.captures,
            keep_output=capturing.keep_output,
            output_file=read_path(reader, get("output_file")),
            outputs=read_outputs(reader, fields),
            expected_output=read_old_output(reader, get("output")),
            commit_required=reader.boolean(get("commit_required")) or False,
            auto_commit=own.auto_commit,
            commit=own.commit,
            validate=self._validate(fields),
            on_failure=read_repair(self, fields, action),
            on_success=() if on_success is None else below.handlers(on_success.value),
            on_exit_code=read_exit_codes(self, get("on_exit_code")),
            claude=own.claude,
            detach=read_detach(reader, fields, action),
            interpolate=reader.boolean(get("interpolate")) is not False,
            shell_program=own.shell_program,
        )

    def _action(self, node: Node, fields: Fields) -> Action:
        """The one action; several and none are problems."""
        given = [name for name in ACTION_NAMES if name in fields.found or name in fields.refused]
        actions = [name for name in given if name != "validate"] or given
        if len(actions) > 1:
            names = " and ".join(quoted(name) for name in actions)
            message = f"a step does one thing, this one has {names}"
            self.problems.error("multiple-actions", message, node, "make two steps of it")
        if not actions:
            return self._without_action(node, fields)
        entry = fields.get(actions[0])
        if entry is None:
            return Shell("", self.mark(node))
        del fields.found[entry.name]
        return read_action(self, entry, fields)

    def _without_action(self, node: Node, fields: Fields) -> Action:
        """What a step does that does not say it: it is of the old form, or a mistake."""
        if fields.attempted(ACTION_NAMES):
            return Shell("", self.mark(node))
        keys = fields.found.keys()
        if "name" in keys and (keys & LEGACY_NAMES or keys <= _STRUCTURED):
            return read_structured(self.reader, fields) or Claude("", self.mark(node))
        message = "this step does nothing"
        self.problems.error("no-action", message, node, "give it an action, e.g. `shell: make test`")
        return Shell("", self.mark(node))

    def _when(self, fields: Fields, action: Action) -> Expr | None:
        skipped = fields.get("skip_validation")
        if skipped is not None and self.reader.boolean(skipped) and isinstance(action, Check):
            return Expr("false", self.mark(skipped.value))
        return self.reader.expr(fields.get("when"))

    def _environment(self, fields: Fields) -> Environment | None:
        return None if fields.get("env") is None else read_environment(self.reader, fields)

    def _retry(self, fields: Fields) -> Retry | None:
        handled = fields.get("on_failure")
        repaired = handled is not None and switch_of(handled) is not False
        alone = None if repaired else fields.get("max_attempts")
        return read_attempts(self.reader, fields, alone, self.inherited.retry, self.inside().handlers)

    def _validate(self, fields: Fields) -> Check | None:
        entry = fields.get("validate")
        if entry is None:
            return None
        check = read_check(self.inside(fields), entry, read_overrides(self.reader, fields))
        return None if self.reader.boolean(fields.get("skip_validation")) else check

    def _own(self, fields: Fields) -> Inherited:
        """What counts for this step of what it may inherit, and for those inside its action."""
        reader, get, outer = self.reader, fields.get, self.inherited
        if _INHERITED.isdisjoint(fields.found):
            return outer
        commit, grace = reader.boolean(get("auto_commit")), reader.fixed_seconds(get("grace"))
        return Inherited(
            auto_commit=outer.auto_commit if commit is None else commit,
            commit=read_commit_config(reader, get("commit_config"), outer.commit),
            retry=outer.retry,
            grace=outer.grace if grace is None else grace,
            idle_timeout=reader.limit(get("idle_timeout"), outer.idle_timeout),
            shell_program=read_shell_program(reader, get("shell_program"), outer.shell_program),
            claude=claude_options(reader, fields).over(outer.claude),
            limits=read_limits(reader, get("limits"), outer.limits),
        )


def _flat(node: Node) -> Iterator[Scalar | Mapping]:
    if isinstance(node, Listing):
        for item in node.items:
            yield from _flat(item)
    else:
        yield node


def _of_others(name: str, names: list[str]) -> frozenset[str]:
    """What of a mapping with several actions does not belong to the step of the action ``name``."""
    dropped = frozenset(names) - {name}
    if name != names[-1]:
        dropped |= OF_THE_LAST_STEP
    if name not in _RUN_CLAUDE and not _RUN_CLAUDE.isdisjoint(names):
        dropped |= CLAUDE_NAMES
    if name != "shell":
        dropped |= _OF_SHELL
    return dropped
