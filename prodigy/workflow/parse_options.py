"""Options of a step that are read alike whatever it does, and what they mean for what it does.

Pure.
"""

from msgspec import structs

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language_steps import CLAUDE_NAMES, LEGACY_NAMES
from prodigy.workflow.model import (
    Action,
    Analyze,
    Check,
    Claude,
    Foreach,
    GoalSeek,
    Retry,
    Shell,
    Text,
    Until,
    WriteFile,
)
from prodigy.workflow.nodes import Mapping
from prodigy.workflow.parse_capture import NAME
from prodigy.workflow.parse_retry import ReadSteps, read_retry
from prodigy.workflow.problems import quoted
from prodigy.workflow.worktree_path import leaves_worktree

_DETACHED: tuple[Until, ...] = ("agent", "run", "forever")
_SHELLS = ("sh", "bash")
_WITH_CLAUDE = (Claude, Foreach, GoalSeek, Check)
"""Actions that options of Claude can matter to."""
_WITHOUT_SHELL = (Claude, WriteFile, Analyze)
"""Actions that options of a shell cannot matter to."""
_OF_VALIDATE = frozenset({"skip_validation", "validation_timeout", "ignore_validation_failure"})


def read_id(reader: Reader, entry: Field | None) -> str | None:
    """The name that later steps know this one by."""
    text = reader.text(entry)
    if entry is None or text is None or NAME.fullmatch(text):
        return text
    message = f"{quoted(text)} cannot be an id"
    hint = "an id starts with a letter or `_` and goes on with letters, digits, `_` and `-`"
    reader.problems.error("bad-value", message, entry.value, hint)
    return None


def read_attempts(
    reader: Reader, fields: Fields, alone: Field | None, inherited: Retry | None, fallback: ReadSteps
) -> Retry | None:
    """How often the step itself is run.

    Args:
        reader: of values.
        fields: the step's.
        alone: ``max_attempts``, on a step without ``on_failure``.
        inherited: what counts for keys that are not given; ``None`` if nothing is tried again.
        fallback: reads the steps that stand in for a failed one.
    """
    entry, more = fields.get("retry"), fields.get("retries")
    base = inherited or reader.standards.retry
    if more is not None:
        hint = "write `retry: {attempts: N}`, which counts the first run too"
        reader.deprecated(more.key, f"{quoted(more.key.text)} is an old spelling", hint)
        number = reader.integer(more, 0)
        base = structs.replace(base, attempts=base.attempts if number is None else number + 1)
    if alone is not None:
        attempts = reader.count(alone, 1)
        base = structs.replace(base, attempts=base.attempts if attempts is None else attempts)
    given = [field for field in (entry if _counts(entry) else None, more, alone) if field is not None]
    for other in given[1:]:
        message = (
            f"{quoted(given[0].key.text)} and {quoted(other.key.text)} both say how often the step is run"
        )
        reader.problems.error("conflicting-keys", message, other.key, "keep one of them")
    if entry is not None:
        return read_retry(reader, entry, base, fallback)
    return base if given else inherited


def read_working_dir(reader: Reader, entry: Field | None) -> Text | None:
    """Where the command runs."""
    text = reader.filled(entry)
    if entry is None or text is None:
        return None
    if leaves_worktree(text):
        message = f"{quoted(text)} lies outside the worktree"
        reader.problems.warning(
            "outside-worktree", message, entry.value, "what is done there is not isolated"
        )
    return Text(text, reader.mark(entry.value))


def read_old_output(reader: Reader, entry: Field | None) -> Text | None:
    """``output``: the file that should be there when the step is done."""
    if entry is not None:
        hint = "write `outputs: {NAME: GLOB}` for a file that has to be there"
        reader.deprecated(entry.key, "`output` only looks whether a file is there", hint)
    return reader.text_node(entry)


def read_detach(reader: Reader, fields: Fields, action: Action) -> Until | None:
    """How long the command may outlive its step."""
    entry = fields.get("detach")
    if entry is None:
        return None
    if not isinstance(action, Shell):
        message = "only a `shell` step can be detached"
        reader.problems.error("conflicting-keys", message, entry.key)
    wanted = reader.choice(entry, _DETACHED)
    for name in ("capture", "capture_output", "output_file", "outputs", "timeout"):
        other = fields.get(name)
        if other is not None:
            message = f"{quoted(other.key.text)} waits for an end, and a detached step has none"
            reader.problems.error("conflicting-keys", message, other.key, "keep one of them")
    limits = fields.get("limits")
    if wanted == "forever" and limits is not None:
        message = "nobody is left to keep the `limits` of a command that is left running for good"
        reader.problems.error("conflicting-keys", message, limits.key, "keep one of them")
    return wanted


def read_shell_program(reader: Reader, entry: Field | None, inherited: str) -> str:
    """What reads the script: ``sh``, ``bash``, or a path."""
    text = reader.filled(entry)
    if entry is None or text is None:
        return inherited
    if text not in _SHELLS and "/" not in text:
        message = f"{quoted(text)} is no shell"
        reader.problems.error(
            "bad-enum", message, entry.value, "write `sh`, `bash`, or the path of another one"
        )
    return text


def note_useless(reader: Reader, fields: Fields, action: Action) -> None:
    """Warn of options that do nothing for this action."""
    checked = isinstance(action, Check) or fields.attempted(("validate",))
    for name, entry in fields.found.items():
        reason = None
        if name == "with":
            reason = "it gives a template its parameters, and this step uses none"
        elif name in LEGACY_NAMES:
            reason = "the action already says what runs"
        elif name in CLAUDE_NAMES and not (checked or isinstance(action, _WITH_CLAUDE)):
            reason = "this step does not run Claude"
        elif name in _OF_VALIDATE and not checked:
            reason = "there is no `validate`"
        elif name == "shell_program" and not checked and isinstance(action, _WITHOUT_SHELL):
            reason = "this step runs no script"
        if reason is not None:
            reader.no_effect(entry.key, f"{quoted(entry.key.text)} has no effect: {reason}")


def _counts(entry: Field | None) -> bool:
    """Whether ``retry`` says how many runs there are."""
    if entry is None:
        return False
    keys = [key.text for key, _ in entry.value.entries] if isinstance(entry.value, Mapping) else ["attempts"]
    return "attempts" in keys or "max_attempts" in keys
