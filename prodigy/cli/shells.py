"""How shells complete what is typed after ``prodigy``: the script of each, and where it looks for one.

A script asks ``prodigy completion words`` each time, so that it never has to be installed anew.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Final, Literal, get_args

from msgspec import Struct

Shell = Literal["bash", "zsh", "fish"]

WORDS: Final = "PRODIGY_COMPLETE"
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
if [[ $funcstack[1] == _prodigy ]]; then _prodigy "$@"; else compdef _prodigy prodigy; fi
"""
_FISH = f"""\
function __prodigy_words
  set -l current (commandline -ct)
  set -lx {WORDS} (string join \\n -- (commandline -opc)[2..-1] "$current" . | string collect)
  prodigy completion words 2>/dev/null
end
complete -c prodigy -a '(__prodigy_words)'
"""
SCRIPTS: Final[Mapping[Shell, str]] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_BASH_COMPLETION: Final = ("usr/share/bash-completion/bash_completion", "etc/bash_completion")
"""Where the package lies, below the root, that looks for scripts of bash by itself."""


class ShellFile(Struct, frozen=True):
    """A file that has to be there: with this text in it, as a ``line`` among others or else as the whole of it."""

    path: Path
    text: str
    line: bool = False


def shell_of(environ: Mapping[str, str]) -> Shell | None:
    """The user's shell; ``None`` if it is none of those that complete."""
    name = Path(environ.get("SHELL", "")).name
    return next((shell for shell in get_args(Shell) if shell == name), None)


def files_for(shell: Shell, environ: Mapping[str, str], root: Path = Path("/")) -> Iterator[ShellFile]:
    """What a shell needs to complete: its script and, where it finds that by nothing else, a line that reads it."""
    home = Path(environ.get("HOME") or "~").expanduser()
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    script = SCRIPTS[shell]
    match shell:
        case "bash":
            own = environ.get("BASH_COMPLETION_USER_DIR") or data / "bash-completion"
            path = Path(own, "completions", "prodigy")
            name = quote(str(path))
            yield ShellFile(path, script)
            if not any((root / place).is_file() for place in _BASH_COMPLETION):
                yield ShellFile(home / ".bashrc", f"[ -r {name} ] && . {name}", line=True)
        case "zsh":
            path = data / "zsh/site-functions/_prodigy"
            name = quote(str(path))
            ready = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }"
            yield ShellFile(path, script)
            rc = Path(environ.get("ZDOTDIR") or home, ".zshrc")
            yield ShellFile(rc, f"[[ -r {name} ]] && {{ {ready}; source {name} }}", line=True)
        case "fish":
            settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
            yield ShellFile(settings / "fish/completions/prodigy.fish", script)
