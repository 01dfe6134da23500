"""``prodigy completion``: lets a shell complete verbs, flags, runs and items."""

from typing import Literal

from cyclopts import App

from prodigy.cli.completing import candidates
from prodigy.cli.invocation import Given

app = App(
    name="completion",
    help_epilogue="""Examples:
  prodigy completion bash >> ~/.bash_completion
  prodigy completion zsh > ~/.zfunc/_prodigy
  prodigy completion fish > ~/.config/fish/completions/prodigy.fish""",
)

WORDS = "PRODIGY_COMPLETE"
"""What is typed already, a word a line, the last one to be completed; then a dot, lest an empty word be lost."""
_BASH = f"""\
_prodigy() {{
  local typed
  typed=$(printf '%s\\n' "${{COMP_WORDS[@]:1:COMP_CWORD}}" .)
  mapfile -t COMPREPLY < <({WORDS}="$typed" "${{COMP_WORDS[0]}}" completion words 2>/dev/null)
}}
complete -o default -F _prodigy prodigy
"""
_ZSH = f"""\
#compdef prodigy
_prodigy() {{
  local -a found
  found=(${{(f)"$({WORDS}="${{(F)words[2,CURRENT]}}"$'\\n.' $words[1] completion words 2>/dev/null)"}})
  (( $#found )) && compadd -a found || _files
}}
compdef _prodigy prodigy
"""
_FISH = f"""\
function __prodigy_words
  set -l current (commandline -ct)
  set -lx {WORDS} (string join \\n -- (commandline -opc)[2..-1] "$current" . | string collect)
  prodigy completion words 2>/dev/null
end
complete -c prodigy -a '(__prodigy_words)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@app.default
def completion(shell: Literal["bash", "zsh", "fish", "words"], /, *, invocation: Given) -> None:
    """Print the script that lets a shell complete what is typed after `prodigy`.

    Args:
        shell: Which shell; words is what the scripts ask for.
        invocation: Who asks.
    """
    if shell != "words":
        invocation.printer.verbatim(_SCRIPTS[shell])
        return
    from prodigy.cli.app import build

    *typed, _ = invocation.around.environ.get(WORDS, "").split("\n")
    for word in candidates(build(), typed, invocation):
        invocation.printer.line(word)
