"""The phases that are lists of steps: setup, reduce, merge, and the steps of a plain workflow.

Pure.
"""

from msgspec import structs

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.inherited import Inherited
from prodigy.workflow.language import MERGE, REDUCE, SETUP
from prodigy.workflow.language_steps import ACTION_NAMES
from prodigy.workflow.model import Step, StepList
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Mapping, Node
from prodigy.workflow.parse_env import read_environment
from prodigy.workflow.parse_outputs import read_phase_outputs
from prodigy.workflow.parse_steps import StepReader
from prodigy.workflow.problems import quoted
from prodigy.workflow.vocabulary import Vocabulary

_STEPS = ("commands", "steps")


def read_steps(reader: Reader, node: Node, inherited: Inherited) -> tuple[Step, ...]:
    """A step list."""
    return StepReader(reader, inherited).steps(node)


def read_own_steps(reader: Reader, entry: Field | None, inherited: Inherited) -> tuple[Step, ...]:
    """The steps of a key that holds nothing else."""
    return () if entry is None else read_steps(reader, entry.value, inherited)


def read_setup(reader: Reader, entry: Field | None, inherited: Inherited) -> StepList | None:
    """``setup``, with the values that later phases get from it."""
    if entry is None:
        return None
    node, fields = nested(reader, entry, SETUP)
    inherited = with_auto_commit(reader, fields, inherited)
    steps = () if node is None else read_steps(reader, node, inherited)
    return StepList(
        steps=steps,
        timeout=reader.limit(fields.get("timeout"), reader.standards.phase_timeout),
        environment=read_environment(reader, fields),
        outputs=read_phase_outputs(reader, fields.get("capture_outputs"), steps),
        mark=reader.mark(entry.value),
    )


def read_reduce(reader: Reader, entry: Field | None, inherited: Inherited) -> StepList | None:
    """``reduce``."""
    if entry is None:
        return None
    node, fields = nested(reader, entry, REDUCE, nested_is_old=True)
    return StepList(
        steps=() if node is None else read_steps(reader, node, inherited),
        timeout=reader.limit(fields.get("timeout"), reader.standards.phase_timeout),
        mark=reader.mark(entry.value),
    )


def read_merge(reader: Reader, entry: Field | None, inherited: Inherited) -> StepList | None:
    """``merge``."""
    if entry is None:
        return None
    node, fields = nested(reader, entry, MERGE)
    return StepList(
        steps=() if node is None else read_steps(reader, node, inherited),
        timeout=reader.limit(fields.get("timeout"), reader.standards.merge_timeout),
        target=reader.filled(fields.get("target")),
        mark=reader.mark(entry.value),
    )


def with_auto_commit(reader: Reader, fields: Fields, inherited: Inherited) -> Inherited:
    """What steps inherit in a phase that may say whether they are committed."""
    commit = reader.boolean(fields.get("auto_commit"))
    return inherited if commit is None else structs.replace(inherited, auto_commit=commit)


def nested(
    reader: Reader, entry: Field, vocabulary: Vocabulary, *, nested_is_old: bool = False
) -> tuple[Node | None, Fields]:
    """The node that holds a phase's steps, and the options around it."""
    node = entry.value
    if not isinstance(node, Mapping) or not _looks_like(node, vocabulary):
        return node, Fields({})
    fields = reader.fields(node, vocabulary)
    commands = fields.get("commands")
    if commands is None:
        if not fields.attempted(("commands",)):
            reader.problems.error("missing-key", f"{vocabulary.title} needs `commands`", entry.key)
        return None, fields
    if nested_is_old:
        message = f"{quoted(commands.key.text)} inside {vocabulary.title} is the old form"
        reader.deprecated(commands.key, message, f"put the steps right under `{entry.key.text}:`")
    return commands.value, fields


def _looks_like(node: Mapping, phase: Vocabulary) -> bool:
    """Whether a mapping in place of a step list is the phase's own mapping and not a single step."""
    keys = [key.text for key, _ in node.entries]
    if any(key in _STEPS for key in keys):
        return True
    if any(key in ACTION_NAMES for key in keys):
        return False
    if any(nearest(key, _STEPS) for key in keys):
        return True
    return not any(nearest(key, ACTION_NAMES) for key in keys) and all(key in phase.spellings for key in keys)
