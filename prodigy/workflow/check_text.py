"""Static checks of one text by its own rule: a script, plain text with references, or an expression.

Pure. What is certainly wrong is an error; what may still make sense when it runs is a warning.
"""

from prodigy.workflow.check_reference import At, ReferenceChecker
from prodigy.workflow.check_script import ScriptChecker
from prodigy.workflow.expression import parse_expression
from prodigy.workflow.known import Known
from prodigy.workflow.locate import Places
from prodigy.workflow.model import Mark
from prodigy.workflow.problems import Problems
from prodigy.workflow.refs import Computed, Dollar, Fold, Malformed, Ref, Unread, compile_text
from prodigy.workflow.scope import Path
from prodigy.workflow.texts import Written
from prodigy.workflow.values import TemplateError


class TextChecker:
    """Checks texts."""

    def __init__(self, places: Places, problems: Problems) -> None:
        self.problems = problems
        self.references = ReferenceChecker(places, problems)
        self.scripts = ScriptChecker(self.references)

    @property
    def used(self) -> set[Path]:
        """The variables that the texts asked for so far."""
        return self.references.used

    def check(self, text: Written, known: Known) -> None:
        """One text by its own rule."""
        if self.problems.full:
            return
        match text.rule:
            case "shell":
                self.scripts.check(text.source, text.mark, known)
            case "condition" | "environment condition" | "filter" | "aggregate":
                self._expression(text, known)
            case _:
                self._plain(text.source, text.mark, known, environment=text.rule == "environment")

    def _plain(self, text: str, mark: Mark, known: Known, *, environment: bool) -> None:
        """A text of the plain rule; in the ``environment`` other names are those of the process."""
        if "$" not in text:
            return
        seen: dict[str, int] = {}
        for piece in compile_text(text).refs():
            if self.problems.full:
                return
            nth = seen[piece.source] = seen.get(piece.source, -1) + 1
            self._piece(piece, At(mark, piece.source, nth), known, environment=environment)

    def _piece(self, piece: Unread, at: At, known: Known, *, environment: bool) -> None:
        """One reference of a text of the plain rule."""
        match piece:
            case Malformed():
                self.references.malformed(at, piece.reason)
            case Dollar() if known.knows(piece.name):
                self.references.use((piece.name,), at, known, in_script=environment)
            case Dollar():
                if not environment:
                    self._unknown_dollar(piece, at, known)
            case Ref() if environment and len(piece.path) == 1 and not known.knows(piece.root):
                pass
            case Ref():
                self.references.reference(piece, at, known, in_script=environment)
            case Fold():
                self.references.fold(piece, at, known)
            case Computed():
                self.references.computed(piece, at, known)

    def _unknown_dollar(self, piece: Dollar, at: At, known: Known) -> None:
        """A name that nothing declares stays as it is; told once for a text."""
        if at.nth > 0 or known.may_declare((piece.name,)):
            return
        message = f"`{piece.source}` is no variable of Prodigy and stays as it is"
        hint = f"write `\\{piece.source}` if that is meant"
        self.references.tell("warning", "maybe-undefined", message, at, hint)

    def _expression(self, text: Written, known: Known) -> None:
        """Names that are defined nowhere are null in an expression: only a warning."""
        try:
            expression = parse_expression(text.source, "item" if text.rule == "filter" else "variables")
        except TemplateError:
            return
        for reference in expression.references():
            written = reference.source
            nth = text.source.count(written, 0, max(0, reference.column - 1))
            at = At(text.mark, written, nth)
            if text.rule == "aggregate" and reference.ref is None:
                self.references.of_agent(reference, at)
                continue
            of_process = text.rule == "environment condition" and len(reference.path) == 1
            if reference.kind == "variable" and not (of_process and not known.knows(str(reference.path[0]))):
                self.references.named(reference, at, known)
            if reference.bare and not (reference.kind == "variable" and known.knows(str(reference.path[0]))):
                message = f"`{written}` is the name of a value here, not text"
                self.references.tell(
                    "warning", "bare-word-operand", message, at, f"write '{written}' if text is meant"
                )
