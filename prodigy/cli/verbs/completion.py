"""``prodigy completion``: lets a shell complete verbs, flags, runs and items."""

from typing import Literal

import msgspec
from cyclopts import App

from prodigy.cli.completing import candidates
from prodigy.cli.invocation import Given
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP
from prodigy.cli.shells import SCRIPTS, WORDS, Shell, ShellFile, files_for, shell_of
from prodigy.cli.written import Written, content_of, denied, tell
from prodigy.errors import UsageError

app = App(
    name="completion",
    group_commands=VERBS_GROUP,
    group_arguments=ARGUMENTS_GROUP,
    group_parameters=FLAGS_GROUP,
    help_epilogue="""Examples:
  prodigy completion install
  prodigy completion bash >> ~/.bash_completion""",
)


class CompletionDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.completion/1"):
    """``prodigy.completion/1``: what was installed for which shell."""

    shell: Shell
    files: tuple[Written, ...]


@app.default
def completion(shell: Literal["bash", "zsh", "fish", "words"], /, *, invocation: Given) -> None:
    """Print the script that lets a shell complete what is typed after `prodigy`.

    Args:
        shell: Which shell; words is what the scripts ask for.
        invocation: Who asks.
    """
    if shell != "words":
        invocation.printer.verbatim(SCRIPTS[shell])
        return
    from prodigy.cli.app import build

    *typed, _ = invocation.around.environ.get(WORDS, "").split("\n")
    for word in candidates(build(), typed, invocation):
        invocation.printer.line(word)


@app.command
def install(shell: Shell | None = None, /, *, invocation: Given) -> None:
    """Install that script where the shell looks for it; a second time changes nothing.

    Args:
        shell: Which shell; yours, as SHELL says, if left out.
        invocation: Who asks.
    """
    environ = invocation.around.environ
    chosen = shell or shell_of(environ)
    if chosen is None:
        raise UsageError(
            "missing-argument",
            "It is not known which shell this is for",
            note=f"SHELL is `{environ['SHELL']}`" if "SHELL" in environ else None,
            hint="name it: `prodigy completion install bash`",
        )
    done = tuple(_put(file) for file in files_for(chosen, environ))
    invocation.printer.document(CompletionDocument(chosen, done))
    tell(invocation.printer, done)
    if any(file.result != "unchanged" for file in done):
        invocation.printer.talk(f"a {chosen} that is started from now on completes `prodigy`")


def _put(file: ShellFile) -> Written:
    """Bring one file about; a link stays one, and what others wrote into a file stays as it is."""
    found = content_of(file.path)
    if found is not None and (file.text in found.splitlines() if file.line else file.text == found):
        return Written(what=str(file.path), result="unchanged")
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        if not file.line:
            file.path.write_text(file.text, "utf-8")
            return Written(what=str(file.path), result="written" if found is None else "overwritten")
        with file.path.open("a", encoding="utf-8") as end:
            unended = found and not found.endswith("\n")
            end.write("\n" * bool(unended) + f"{file.text}\n")
    except OSError as error:
        raise denied(file.path, error) from None
    return Written(what=str(file.path), result="written" if found is None else "extended")
