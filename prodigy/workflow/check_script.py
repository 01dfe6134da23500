"""Static checks of one shell script.

Pure. What is certainly wrong is an error; what the shell may still make sense of is a warning.
"""

import re
from collections.abc import Iterator

from prodigy.workflow.check_reference import At, ReferenceChecker
from prodigy.workflow.known import Known
from prodigy.workflow.model import Mark
from prodigy.workflow.refs import Computed, Dollar, Fold, Modifier, Ref
from prodigy.workflow.scope import Path
from prodigy.workflow.shell_lexer import read_script
from prodigy.workflow.shell_quote import is_ours
from prodigy.workflow.shell_script import Hole, Mention, Place, Script
from prodigy.workflow.variables import TEXTS, variable

_OF_THE_SHELL = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|TERM|LANG|LC_\w+|TZ|TMPDIR|PWD|OLDPWD|IFS|PPID|UID|EUID|HOSTNAME|RANDOM|SECONDS"
    r"|LINENO|BASH\w*|FUNCNAME|PIPESTATUS|REPLY|OPTARG|OPTIND|CI|PRODIGY_\w+|XDG_\w+|EDITOR|PS[1-4]"
    r"|(?:ANTHROPIC|AWS|CARGO|CI|CLAUDE|CONDA|DOCKER|GH|GIT|GITHUB|GITLAB|NODE|NPM|PYTHON|RUST|RUSTUP|SSH)_\w+"
    r"|GOPATH|GOROOT|JAVA_HOME|KUBECONFIG|PYTHONPATH|RUSTFLAGS|VIRTUAL_ENV|LD_LIBRARY_PATH"
    r"|COLUMNS|DIRSTACK|EPOCH(?:REALTIME|SECONDS)|GROUPS|HOSTTYPE|LINES|MACHTYPE|OSTYPE|SHLVL|SRANDOM",
    re.ASCII,
)
"""Variables that every child of ours or every shell has, or that common tools and CI services set."""
_RAW = Modifier("raw")
_EXPANDED = frozenset({Place.BARE, Place.DOUBLE})
_ARGUMENT = re.compile(r"ARG(?:_\d+)?", re.ASCII)


class ScriptChecker:
    """Checks texts of the shell rule."""

    def __init__(self, references: ReferenceChecker) -> None:
        self.references = references

    def check(self, text: str, mark: Mark, known: Known) -> None:
        """A text of the shell rule."""
        if "$" not in text:
            return
        script = read_script(text)
        seen: dict[str, int] = {}
        for hole in script.holes:
            if self.references.problems.full:
                return
            nth = seen[hole.source] = seen.get(hole.source, -1) + 1
            if hole.place is not Place.COMMENT:
                self._hole(hole, script, At(mark, hole.source, nth), known)
        for mention in script.mentions:
            self._mention(mention, mark, known)

    def _hole(self, hole: Hole, script: Script, at: At, known: Known) -> None:
        if not is_ours(hole, script, known.knows):
            self._left(hole, script, known, at)
        elif hole.ref is None:
            self.references.note((hole.name,))
            self.references.malformed(at, "a dotted name cannot take an operator of the shell")
        elif hole.place is Place.DOLLAR_SINGLE:
            self.references.tell("error", "bad-reference", f"`{hole.source}` stands in $'…'", at, 'use "…"')
        elif hole.buried:
            message = f"`{hole.source}` stands in backquotes or nesting too deep"
            self.references.tell("error", "bad-reference", message, at, "use $(…)")
        elif isinstance(hole.ref, Fold):
            self.references.fold(hole.ref, at, known)
            if hole.reread:
                self._reread(at)
        elif isinstance(hole.ref, Computed):
            self.references.computed(hole.ref, at, known)
        else:
            self.references.reference(hole.ref, at, known, in_script=True)
            if hole.ref.default is not None:
                self.references.defaults(hole.ref.default, at, known)
            self._advise(hole, hole.ref, known, at)

    def _advise(self, hole: Hole, ref: Ref, known: Known, at: At) -> None:
        """Tell of references that work, but perhaps not as meant, and of secrets that cannot stand here."""
        if hole.reread:
            self._reread(at)
        if _writes_secret(ref, known):
            hint = "read the environment variable in the command itself and change it there"
            self.references.tell(
                "error", "bad-reference", f"`{hole.source}` would write a secret into the script", at, hint
            )
        elif hole.heredoc is not None and any(known.is_secret(path) for path in _paths(ref)):
            hint = "leave the quotes of the heredoc's delimiter away"
            self.references.tell(
                "error", "bad-reference", f"the secret `{hole.source}` stands in a quoted heredoc", at, hint
            )
        elif _RAW in ref.modifiers:
            self.references.tell(
                "note", "raw-text", f"`{hole.source}` is pasted into the script as it is", at
            )
        plain = not (ref.modifiers or ref.filters)
        is_text = (
            known.is_text(ref.root) or ref.root == "ARG" if len(ref.path) == 1 else ref.path[-1] in TEXTS
        )
        if hole.for_list and hole.place is Place.BARE and plain and is_text:
            message = f"`{hole.source}` is one word here: the loop runs once"
            hint = f"write `${{{ref.name}:words}}` to split it at white space"
            self.references.tell("warning", "shell-word-split", message, at, hint)

    def _reread(self, at: At) -> None:
        message = f"`{at.text}` becomes part of code that another shell reads"
        hint = "pass it as a positional argument: sh -c '… \"$1\" …' sh ${…}"
        self.references.tell("warning", "nested-shell", message, at, hint)

    def _left(self, hole: Hole, script: Script, known: Known, at: At) -> None:
        """A plain name that is not ours is the shell's, if the shell can know it; told once for a script."""
        ref, name = hole.ref, hole.name
        if at.nth > 0 or not isinstance(ref, Ref) or ref.default is not None or hole.place not in _EXPANDED:
            return
        if name in script.assigned or script.loads_code or _OF_THE_SHELL.fullmatch(name) or "-" in name:
            return
        elsewhere = (
            variable(name) is not None
            or name in known.declared.elsewhere
            or name in known.declared.aggregates
        )
        if elsewhere or known.meant(name) is not None:
            self.references.refuse(known.refusal(ref), at)
        elif not known.may_declare((name,)):
            message = f"`{name}` is no variable of Prodigy, and the script does not set it"
            self.references.tell(
                "warning", "maybe-undefined", message, at, "the environment may still have it"
            )

    def _mention(self, mention: Mention, mark: Mark, known: Known) -> None:
        if not known.knows(mention.name):
            if mention.name == "PRODIGY_MAP_RESULTS_FILE":
                self.references.note(("map", "results_file"))
            return
        at = At(mark, f"${mention.name}")
        if mention.place is not Place.SINGLE:
            if mention.reread and known.holds_data(mention.name):
                self._reread(at)
            self.references.use((mention.name,), at, known, in_script=True)
            return
        if _ARGUMENT.fullmatch(mention.name) or not known.holds_data(mention.name):
            return
        message = f"`${mention.name}` stays as it is in single quotes"
        self.references.tell("warning", "single-quoted-variable", message, at, f"write `${{{mention.name}}}`")


def _writes_secret(ref: Ref, known: Known) -> bool:
    """Whether a secret would become part of another text; a default that is one reference stands for itself."""
    if known.is_secret(ref.path) and (ref.modifiers or ref.filters):
        return True
    if ref.default is None:
        return False
    if len(ref.default.pieces) == 1 and isinstance(ref.default.pieces[0], Ref):
        return _writes_secret(ref.default.pieces[0], known)
    return any(known.is_secret(path) for path in list(_paths(ref))[1:])


def _paths(ref: Ref) -> Iterator[Path]:
    """The path of a reference, then those of its defaults."""
    yield ref.path
    for piece in () if ref.default is None else ref.default.refs():
        if isinstance(piece, Ref):
            yield piece.path
        elif isinstance(piece, Dollar):
            yield (piece.name,)
