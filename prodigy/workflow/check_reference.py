"""Static checks of one reference, by whatever text it stands in, and how its problems are told.

Pure. Notes which variables are asked for, so that captures without a reader can be named.
"""

import re

from msgspec import Struct

from prodigy.workflow.expression_references import Reference, references
from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.folds import condition_of
from prodigy.workflow.json_path import BadJsonPath, find
from prodigy.workflow.known import Known, Refusal
from prodigy.workflow.locate import Places
from prodigy.workflow.model import Mark
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Span
from prodigy.workflow.problems import Problems, Severity, quoted
from prodigy.workflow.refs import (
    FILTERS,
    MODIFIERS,
    PATH,
    Computed,
    Dollar,
    Fold,
    Ref,
    Template,
    compile_text,
    json_parts,
)
from prodigy.workflow.scope import WORKED_OUT, Path
from prodigy.workflow.shell_lexer import read_script
from prodigy.workflow.shell_quote import is_ours
from prodigy.workflow.variables import DEPRECATED, ITEM_RESULT, NEVER_SET
from prodigy.workflow.worktree_path import leaves_worktree

_SUFFIX = re.compile(r"\s*[:|]\s*([a-z_]+)")
_FILTER_FORMS = {"default": "| default:TEXT", "length": "| length:N", "pattern": "| pattern:GLOB"}


class At(Struct, frozen=True):
    """The ``nth`` place (from 0) where ``text`` stands after ``mark``, looked for only when there is a problem."""

    mark: Mark
    text: str
    nth: int = 0


class ReferenceChecker:
    """Checks references, and notes the paths they ask for in ``used`` (two steps of them)."""

    def __init__(self, places: Places, problems: Problems) -> None:
        self.places = places
        self.problems = problems
        self.used: set[Path] = set()

    def reference(self, ref: Ref, at: At, known: Known, *, in_script: bool) -> None:
        """A reference that is ours, its defaults apart."""
        refusal = known.refusal(ref)
        self.note(ref.path)
        if refusal is not None:
            self.refuse(refusal, at)
        else:
            self.use(ref.path, at, known, in_script=in_script)

    def fold(self, fold: Fold, at: At, known: Known) -> None:
        """A fold: what it is over, and its condition, in which names that are defined nowhere are null."""
        refusal = known.refusal(fold)
        self.note(fold.path)
        if refusal is not None:
            self.refuse(refusal, at)
        elif fold.where is not None:
            try:
                condition = condition_of(fold.where)
            except BadExpression as error:
                hints = (error.hint,) if error.hint else ()
                message = f"{quoted(fold.where)}: {error.message}"
                self.problems.error(error.code, message, self._inside(at, fold.where, error.column), *hints)
                return
            for reference in references(condition):
                if reference.kind == "variable":
                    self.named(reference, at, known)

    def _inside(self, at: At, part: str, column: int) -> Span:
        """The character of a part of a reference, counted from 1; all of it where that is not to be seen."""
        whole = self.places.find(at.mark, at.text, at.nth)
        if (
            whole.line != whole.end_line
            or whole.end_column - whole.column != len(at.text)
            or part not in at.text
        ):
            return whole
        start = whole.column + at.text.rindex(part) + min(column, len(part)) - 1
        return Span(whole.line, start, whole.line, start + 1, whole.file)

    def computed(self, computed: Computed, at: At, known: Known) -> None:
        """A computed value, and the references in what it is worked out from."""
        refusal = known.refusal(computed)
        if refusal is not None:
            self.refuse(refusal, at)
        elif computed.kind == "cmd":
            script = read_script(computed.argument)
            ours = [hole.ref for hole in script.holes if is_ours(hole, script, known.knows)]
            self.defaults(Template(tuple(ref for ref in ours if ref is not None)), at, known)
        elif computed.kind in WORKED_OUT:
            self.defaults(compile_text(computed.argument), at, known)
            path, file = json_parts(computed.argument) if computed.kind == "json" else ("", computed.argument)
            self._json_path(path, at)
            if leaves_worktree(file):
                message = f"{quoted(file)} is not inside the worktree"
                self.tell("error", "path-outside-worktree", message, at, "write a path relative to it")

    def _json_path(self, path: str, at: At) -> None:
        try:
            if "$" not in path.removeprefix("$"):
                find(path, [])
        except BadJsonPath as error:
            self.tell("error", "bad-jsonpath", f"{quoted(path)} is not a JSONPath: {error}", at)

    def named(self, reference: Reference, at: At, known: Known) -> None:
        """A variable that an expression names: one that is defined nowhere is null, and only a warning."""
        match reference.ref:
            case Computed():
                self.computed(reference.ref, at, known)
                return
            case Fold():
                self.fold(reference.ref, at, known)
                return
            case Ref(default=Template() as default):
                self.defaults(default, at, known)
        self.note(reference.path)
        refusal = known.refusal_of(reference.path, reference.written, has_default=reference.optional)
        if refusal is not None and not reference.optional and not reference.bare:
            hints = (*refusal.hints, "it counts as null")
            self.tell("warning", "maybe-undefined", refusal.message, at, *hints)

    def of_agent(self, reference: Reference, at: At) -> None:
        """A bare name in the expression of an aggregate: it may be anything that an agent captured, or of its item."""
        root, *rest = reference.path
        self.note(tuple(rest[1:]) if root == "result" and len(rest) > 1 else reference.path)
        if root != "result" or not rest or rest[0] in ITEM_RESULT or reference.optional:
            return
        meant = nearest(str(rest[0]), sorted(ITEM_RESULT))
        has = (
            f"`result` has {', '.join(sorted(ITEM_RESULT))}"
            if meant is None
            else f"did you mean `result.{meant}`?"
        )
        message = f"`{reference.written}` is not defined"
        self.tell("warning", "maybe-undefined", message, at, has, "it counts as null")

    def use(self, path: Path, at: At, known: Known, *, in_script: bool) -> None:
        """What is to be said about a variable that has a value here."""
        self.note(path)
        root = str(path[0])
        if path == NEVER_SET:
            message = "`map.key` is a name of older workflows and never has a value"
            self.tell("warning", "deprecated-form", message, at, "leave it out")
        instead = DEPRECATED.get(root)
        if instead is not None and not known.is_own(root):
            message = f"`{root}` is a name of older workflows"
            self.tell("warning", "deprecated-form", message, at, f"write `${{{instead}}}`")
        if not in_script and known.is_secret(path):
            message = f"{quoted(at.text)} puts a secret into a text"
            hint = "a `shell` command gets it by its environment"
            self.tell("warning", "secret-in-text", message, at, hint)

    def note(self, path: Path) -> None:
        """A text asks for a path."""
        self.used.add(path[:2])

    def defaults(self, template: Template, at: At, known: Known) -> None:
        """The references in a default of a reference in a script or expression; they are told at its place."""
        for piece in template.refs():
            if isinstance(piece, Ref):
                self.reference(piece, at, known, in_script=True)
            elif isinstance(piece, Dollar):
                self.note((piece.name,))
            elif isinstance(piece, Fold):
                self.fold(piece, at, known)
            elif isinstance(piece, Computed):
                self.computed(piece, at, known)

    def malformed(self, at: At, reason: str) -> None:
        """``${…}`` that does not parse: a modifier that does not exist, or no reference at all."""
        body = at.text.removeprefix("${").removesuffix("}").strip()
        path = PATH.match(body)
        suffix = _SUFFIX.match(body, path.end()) if path is not None else None
        piped = suffix is not None and suffix[0].lstrip().startswith("|")
        if suffix is None or suffix[1] in (FILTERS if piped else MODIFIERS):
            hint = "capture the value under a plain name first, or write `\\${` for a literal `${`"
            self.tell("error", "bad-reference", f"{quoted(at.text)}: {reason}", at, hint)
            return
        word = suffix[1]
        meant = nearest(word, sorted(MODIFIERS | FILTERS))
        if word in FILTERS:
            hints = [f"`{word}` is a filter: write `{_FILTER_FORMS.get(word, f'| {word}')}`"]
        else:
            hints = [] if meant is None else [f"did you mean `{meant}`?"]
        message = f"{quoted(at.text)} has an unknown modifier `{word}`"
        self.tell("error", "unknown-modifier", message, at, *hints)

    def refuse(self, refusal: Refusal | None, at: At) -> None:
        """Tell why a reference cannot work, if there is a reason."""
        if refusal is not None:
            self.tell("error", refusal.code, refusal.message, at, *refusal.hints)

    def tell(self, severity: Severity, code: str, message: str, at: At, *hints: str) -> None:
        """Record a problem at the place of a text."""
        self.problems.add(severity, code, message, self.places.find(at.mark, at.text, at.nth), *hints)
