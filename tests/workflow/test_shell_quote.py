"""Against real shells: a value is exactly itself wherever it stands, and nothing else ever runs."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodigy.workflow.scope import UNDEFINED, ItemScope, resolve
from prodigy.workflow.shell_quote import render_shell, single_quoted
from prodigy.workflow.template import BadReference, TemplateError, UndefinedVariable

SHELLS = [shell for shell in ("sh", "bash", "dash") if shutil.which(shell)]
HOSTILE = [
    "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "\n", "\\", "'", '"', "$", "`", "*",
    "-n", "a b", "é☃", "${HOME}", "$HOME", ")", "}", ";;", "#", "!x", "\t", "a[$(touch pwned)]", "EOF", "~",
]  # fmt: skip
hostile = st.lists(
    st.sampled_from(HOSTILE) | st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=4
)
texts = hostile.map("".join)

# what the script prints, with V for the value
PLACES: dict[str, tuple[str, str]] = {
    "bare": ("printf %s ${item}", "V"),
    "double": ('printf %s "${item}"', "V"),
    "single": ("printf %s '${item}'", "V"),
    "glued": ("printf %s x${item}y'z${item}'\"${item}\"", "xVyzVV"),
    "default of the shell": ("printf %s ${nothing:-${item}}", "V"),
    "default in double quotes": ('printf %s "${nothing:-${item}}"', "V"),
    "double quotes in a default in double quotes": ('printf %s "${nothing:-"${item}"}"', "V"),
    "pattern": ("x=${item}POST; printf %s ${x#${item}}", "POST"),
    "pattern in double quotes": ('x="${item}POST"; printf %s "${x#${item}}"', "POST"),
    "assignment": ('x=${item}; printf %s "$x"', "V"),
    "heredoc": ("cat <<EOF\n[${item}]\nEOF", "[V]\n"),
    "quoted heredoc": ("cat <<'E OF'\n[${item}] $x `no` \\ $(no)\nE OF\nprintf z", "[V] $x `no` \\ $(no)\nz"),
    "quoted heredoc, escaped": ("cat <<\\END\n[${item}]\\\nEND", "[V]\\\n"),
    "default in a heredoc": ("cat <<EOF\n[${nothing:-${item}}]\nEOF", "[V]\n"),
    "substitution": ('printf %s "$(printf %s ${item}; echo .)"', "V."),
    "substitution, double": ('printf %s "$(printf %s "${item}"; echo .)"', "V."),
    "substitution, single": ("printf %s \"$(printf %s '${item}'; echo .)\"", "V."),
    "substitution in a heredoc": ("cat <<EOF\n$(printf %s ${item}; echo .)\nEOF", "V.\n"),
    "heredoc in a substitution": ('x=$(cat <<EOF\n${item}.\nEOF\n); printf %s "$x"', "V."),
    "quoted heredoc in a substitution": ("x=$(cat <<'E'\n[${item}].\nE\n); printf %s \"$x\"", "[V]."),
    "backquotes": ('printf %s "`printf %s ${item}; echo .`"', "V."),
    "backquotes, double": ('printf %s "`printf %s "${item}"; echo .`"', "V."),
    "backquotes, escaped double": ('printf %s "`printf %s \\"${item}\\"; echo .`"', "V."),
    "backquotes, single": ("printf %s \"`printf %s '${item}'; echo .`\"", "V."),
    "case": ("case ${item} in ${item}) printf %s ${item};; esac", "V"),
    "case in a substitution": ('x=$(case a in a) printf %s. ${item};; b) : ;; esac); printf %s "$x"', "V."),
    "after a comment": ("# it's ${item} `\nprintf %s ${item} # ' ${item}", "V"),
    "mention": ('printf %s "$item"', "V"),
    "nested substitution": ('printf %s "$(printf %s "$(printf %s ${item}; echo .)")"', "V."),
    "nested substitution, quoted": ("printf %s \"$(printf %s \"$(printf %s '${item}'; echo .)\")\"", "V."),
    "substitution in a default": ('printf %s "${nothing:-$(printf %s ${item}; echo .)}"', "V."),
    "default of a default": ('printf %s "${nothing:-${nothing:-${item}}}"', "V"),
    "alternative": ('x=1; printf %s "${x:+${item}}"', "V"),
    "heredoc without tabs": ("cat <<-EOF\n\t[${item}]\n\tEOF\nprintf z", "[V]\nz"),
    "quoted heredoc without tabs": ("cat <<-'EOF'\n\t[${item}] $x\n\tEOF\nprintf z", "[V] $x\nz"),
    "two heredocs": ("cat <<A; cat <<'B'\n[${item}]\nA\n[${item}] $x\nB\n", "[V]\n[V] $x\n"),
    "heredoc, then more": ("cat <<EOF | cat; printf %s ${item}\n[${item}]\nEOF\n", "[V]\nV"),
    "substitution in a quoted part of a heredoc": ('cat <<EOF\n`printf %s "${item}"; echo .`\nEOF', "V.\n"),
    "group": ("{ printf %s ${item}; } | cat", "V"),
    "subshell": ("(printf %s ${item})", "V"),
    "function": ('f() { printf %s "$1"; }; f ${item}', "V"),
    "condition": ("if [ ${item} = ${item} ]; then printf %s ${item}; fi", "V"),
    "environment of a command": ("X=${item} sh -c 'printf %s \"$X\"'", "V"),
    "positional": ("sh -c 'printf %s \"$1\"' sh ${item}", "V"),
    "continued line": ("printf %s \\\n  ${item}", "V"),
    "set anew": ("item=${item}; printf %s ${item}", "V"),
    "loop": ('for x in ${item}; do printf %s "$x"; done', "V"),
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, str], str]:
    """Runs a script in an empty folder and proves that the folder stays empty."""
    folder = tmp_path / "empty"
    folder.mkdir()

    def printed(shell: str, script: str) -> str:
        done = subprocess.run(
            [shell, "-c", script],
            cwd=folder,
            capture_output=True,
            timeout=30,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert list(folder.iterdir()) == []
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return printed


def render(script: str, item: Any) -> str:
    return render_shell(script, ItemScope(item, 0, 1))


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=texts)
def test_a_value_is_exactly_itself_in_every_place(
    run: Callable[[str, str], str], shell: str, place: str, value: str
) -> None:
    script, printed = PLACES[place]
    assert run(shell, render(script, value)) == printed.replace("V", value)


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(texts.filter(bool), max_size=4))
def test_a_list_is_one_word_per_element_where_it_is_a_word(
    run: Callable[[str, str], str], shell: str, values: list[str]
) -> None:
    script = render("for x in start ${item}; do printf '%s\\0' \"$x\"; done", values)
    assert run(shell, script).split("\0")[1:-1] == values


@pytest.mark.parametrize(
    "script", ["x=${item} :", "> ${item}", "case ${item} in *) ;; esac", 'echo "${item}"', "a${item}b"]
)
def test_elsewhere_a_list_stays_one_text(script: str) -> None:
    assert render(script, ["a", "touch pwned"]).startswith("__p1='a, touch pwned'\n")


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=texts | st.integers(-999, 999).map(str))
def test_arithmetic_gets_a_number_or_nothing(run: Callable[[str, str], str], shell: str, value: str) -> None:
    try:
        script = render("printf %s $((${item} + 0))", value)
    except BadReference:
        return
    if value.strip().lstrip("+-").isdigit():
        assert run(shell, script).lstrip("-").isdigit()


scripts = st.lists(
    st.sampled_from([
        "${item}", "${item.x}", "$item", "'", '"', "`", "\\", "$(", "$((", "))", ")", "(", "${x:-", "${x%", "}", "\n",
        " ", ";", "|", "<<EOF\n", "<<'EOF'\n", "\nEOF\n", "#", "[[ ", " ]]", " -eq ", "case a in ", "esac", "$'", "a=",
        "eval ", "sh -c ", "${{", "$", "{", "a[", "]", "<<-E\n", "\tE\n",
    ]),
    max_size=14,
).map("".join)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(script=scripts)
def test_a_value_never_becomes_part_of_any_script(script: str) -> None:
    """Whatever the script is and however it is misread: the value stands in the prologue only, quoted."""
    value = {"x": "VA'LUE;$(touch pwned)"}
    try:
        rendered = render(script, value)
    except TemplateError:
        return
    quoted = {single_quoted(value["x"]), single_quoted('{"x":"VA\'LUE;$(touch pwned)"}')}
    for line in quoted:
        rendered = rendered.replace(line, "")
    assert "LUE" not in rendered


@settings(max_examples=1000, deadline=None)
@given(script=scripts | st.text(), known=st.booleans())
def test_a_script_without_references_survives_byte_for_byte(script: str, *, known: bool) -> None:
    script = script.replace("${item", "${thing").replace("$item", "$thing") if known else script
    scope: Any = ItemScope({"x": 1}, 0, 1) if known else Nothing()
    try:
        rendered = render_shell(script, scope)
    except TemplateError as error:
        failure = str(error)
    else:
        assert rendered == script
        return
    assert "thing.x" in failure or "item.x" in failure


class Nothing:
    """A scope that knows no name."""

    def lookup(self, path: Any) -> Any:
        return resolve({}, path)

    def knows(self, root: str) -> bool:
        return root is None

    def names(self) -> list[str]:
        return []

    def secret(self, path: Any) -> str | None:
        return None

    def computed(self, kind: str, argument: str) -> Any:
        return UNDEFINED


class Values(Nothing):
    """A scope of plain values; those named ``TOKEN`` are secrets, and all of them are in the environment."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def lookup(self, path: Any) -> Any:
        return resolve(self.values, path[1:] if path[0] == "env" else path)

    def knows(self, root: str) -> bool:
        return root in self.values or root == "env"

    def secret(self, path: Any) -> str | None:
        return "TOKEN" if path in {("TOKEN",), ("env", "TOKEN")} else None

    def computed(self, kind: str, argument: str) -> Any:
        return f"{kind} {argument}".strip()


WITH_SECRET = Values(TOKEN="s3cret-value", x={"y": 1})  # noqa: S106 - a value to look for


NOT_OURS = [
    "awk '{print $1, ${x}}' f; echo ${f%.py} ${f:0:7} ${#f} $$ $@ $(date) $((1 + 2)) ${x:-d} ${y:=z}",
    "awk -F: '$3 >= 1000 { n[$7]++ } END { for (s in n) printf \"%s %d\\n\", s, n[s] }' /etc/passwd",
    "awk 'NR > 1 && $2 ~ /^[0-9]+$/ { sum += $2 } END { print sum / (NR - 1) }' data",
    "sed -E 's/^([^=]+)=(.*)$/\\2=\\1/; /^#/d; $!N' file",
    "sed -i.bak -e '/\\${[A-Z_]*}/d' -e \"s|$HOME|~|g\" config",
    "jq -r '.[] | select(.size > 10) | \"\\(.name)\\t\\(.size)\"' w.json",
    "jq --arg v \"$(cat VERSION)\" '.version = $v | .tags |= map(select(. != null))' p.json > out",
    "jq '[.a[] as $x | {($x.k): $x.v}] | add' f",
    "node -e 'console.log(`${user.name}`)'",
    "node -e 'const {a, ...b} = require(\"./p.json\"); console.log(`${a}: ${Object.keys(b).length}`)'",
    "node -p '`${process.version} ${[1, 2].map((x) => `${x}`)}`'",
    'perl -ne \'print "$1\\n" if /(\\w+)@{1}/; $h{$_}++; END { print "@{[%h]}" }\' f',
    "python3 -c 'import sys; print(f\"{sys.argv[1]!r} {1:>{4}} ${0}\")' x",
    "ruby -e 'puts \"#{ARGV[0]} #{1 + 1}\"' y",
    "find . -name '*.py' -not -path './.*' -exec grep -l 'x' {} + | xargs -r -n1 -I{} echo {}",
    'find . -type f -exec sh -c \'for f; do mv "$f" "${f%.txt}.md"; done\' sh {} +',
    "grep -nE '^(a|b){2,3}[^$]*\\$[{]x[}]$' f | cut -d: -f1",
    "grep -P '(?<=\\$\\{)\\w+(?=\\})' f",
    "git log -1 --format='%H %an <%ae>%n%B' HEAD^{commit} @{u} stash@{0}",
    "docker ps --format '{{.Names}} {{json .}}' | while IFS= read -r l; do echo \"${l%% *}\"; done",
    'echo ${{ github.sha }} "${{ matrix.os }}"',
    "cat <<'EOF'\n${user.name} $x `y` $(z)\nEOF",
    "cat > Makefile <<'EOF'\nall:\n\t$(CC) $$x ${CFLAGS} $@ $<\nEOF",
    "cat <<EOF > f\n\\${user.name} \\$x $(date) ${HOME}\nEOF",
    "echo \\${item.x} ${{ github.sha }} '\\$ARG'",
    "arr=(a b); echo ${arr[0]} ${arr[@]} ${#arr[@]} ${!arr[@]} ${arr[@]:1:2} ${arr[-1]}",
    'declare -A m=([a]=1); for k in "${!m[@]}"; do echo $k=${m[$k]}; done',
    "x=${1:?usage} y=${2:-$(pwd)} z=${x//\\//_} w=${x^^} v=${x,,} u=${x@Q} t=${!x} s=${x/#a/b}",
    "while getopts ':a:b' o; do case $o in a) x=$OPTARG;; \\?) exit 1;; esac; done; shift $((OPTIND - 1))",
    "make | tee log; echo ${PIPESTATUS[0]} ${BASH_SOURCE[0]} ${FUNCNAME[*]}",
    ". ./lib.sh; echo ${listed[0]} ${listed[-1]}",
    "diff <(sort a) <(sort b) || true; cmd 2>&1 >/dev/null | tee >(wc -l)",
    "case $x in *.py|*.sh) echo ${x##*/};; [!a-z]*) ;; esac",
    "for ((i = 0; i < 3; i++)); do echo $((i ** 2)) $i; done; (( i > 2 )) && let 'i = i + 1'",
    '[[ $x =~ ^([0-9]+)\\.([0-9]+)$ ]] && echo ${BASH_REMATCH[1]} "${BASH_REMATCH[2]}"',
    'trap \'rm -rf "$tmp"; exit $?\' EXIT INT; tmp=$(mktemp -d "${TMPDIR:-/tmp}/x.XXXXXX")',
    "echo $'it\\'s' $\"x\" $'\\t${user.name}'",
    'printf \'%s\\n\' "$*" "${*}" "${@:2}" "$-" $? $! $0 ${10} $_',
    "echo \"a\\\"b\\$c\\`d\" 'it'\\''s' # $(not run) '\" ${",
    'x=`ls \\`pwd\\` | wc -l`; y="`echo \\"$x\\"`"',
    'curl -s -H "Authorization: Bearer $KEY" -d \'{"q": "${not.ours}"}\' "$URL/${PATH_PART:-v1}" | head -c1',
    "tr -d '\\n' < f | xargs -0 printf '%q ' && : > out && exec 3<>lock && flock 3",
    "psql -c \"SELECT '\\$1'::text, \\$\\$x\\$\\$\" && echo 'DO $$ BEGIN END $$;'",
]


@pytest.mark.parametrize("script", NOT_OURS)
def test_shell_syntax_that_is_not_ours_is_left_alone(script: str) -> None:
    assert render(script, {"x": 1}) == script


def test_a_private_variable_holds_each_distinct_value_once() -> None:
    script = render("echo ${item.a} ${item.b} '${item.a}'", {"a": "it's", "b": "x"})
    assert script == "__p1='it'\\''s'\n__p2='x'\necho \"${__p1}\" \"${__p2}\" ''\"${__p1}\"''"


def test_private_names_keep_clear_of_the_script_s_own() -> None:
    assert render("__p1=1; echo ${item}", "x").startswith("__p_1='x'\n__p1=1;")


def test_known_names_that_the_shell_expands_itself_are_assigned() -> None:
    assert render('echo "$item" ${item%.py} ${item:-$(date)}', "a.py") == (
        "item='a.py'\necho \"$item\" ${item%.py} ${item:-$(date)}"
    )
    assert render("echo '$item' # $item", "x") == "echo '$item' # $item"


def test_a_comment_gets_nothing_and_asks_for_nothing() -> None:
    assert render("true # ${item.gone} x", {}) == "true #  x"


def test_an_argument_is_a_reference_even_in_single_quotes() -> None:
    assert render_shell("echo '$ARG'", Values(ARG="a b")) == "__p1='a b'\necho ''\"${__p1}\"''"


@pytest.mark.parametrize(
    "script",
    ["echo $((${item} + 1))", "[[ ${item} -eq 5 ]]", "[[ 5 -lt ${item} ]]", "(( ${item} > 1 ))", "echo $(($item+1))",
     "let x=${item}", "echo $[${item}]", "echo ${x:${item}}", "a[${item}]=1", "echo ${a[${item}]}", "[[ $item -eq 1 ]]",
     "declare ${item}", "[[ '${item}' -eq 1 ]]", '(( "${item}" > 1 ))', "[[ -v ${item} ]]"],
)  # fmt: skip
def test_arithmetic_takes_numbers_only(script: str) -> None:
    """Bash evaluates text in arithmetic, so a text there would be code."""
    for number in (5, "12", -3, 0.5):
        render(script, number)
    with pytest.raises(BadReference, match="must be a number"):
        render(script, "a[$(touch pwned)]")


EVALUATED = [
    "printf -v ${item} x",
    "command printf -v ${item} x",
    "[ -v ${item} ]",
    'test -v "a[${item}]"',
    "[[ -v ${item} ]]",
    "mapfile ${item}",
    "readarray -t ${item}",
    "read ${item}",
    "read -a ${item}",
    "getopts a ${item}",
    "unset ${item}",
    'unset "a[${item}]"',
    "export ${item}=1",
    "readonly ${item}",
    "declare -n r=${item}; echo $r",
    "declare -n r; r=${item}; r=1",
    "declare -i n=${item}",
    "declare -i n; n=${item}",
    "f() { local -i n=${item}; }; f",
    "typeset -i n; n=$item",
    "let x=1 ${item}",
    "command let ${item}",
    "for ((i = 0; i < ${item}; i++)); do break; done",
    "for ((i = item; i < 1; i++)); do break; done",
    "a=([${item}]=1)",
    "declare -a a=([${item}]=1)",
    "a+=([$item]=1)",
    "a[${item}]=1",
    "a[1]=x b[${item}]=2 true",
    "echo ${a[${item}]}",
    'echo "${a[$item]:-x}"',
    "(( x = ${item} ))",
    "if (( ${item} )); then :; fi",
    "! (( item ))",
    "echo $((1 + $((${item}))))",
    "cat <<EOF\n$((${item}))\nEOF",
    "cat <<EOF\n${x:${item}}\nEOF",
    "echo ${x:0:${item}}",
    "echo $[ ${item} ]",
    '[[ 1 -lt "${item}" ]]',
    "[[ ( ${item} -gt 3 ) ]]",
    "[[ -n x || 3 -ge $item ]]",
    "[[ item -eq 1 ]]",
    "[ ${item} -gt 1 ]",
    "echo ${!item}",
    "x=${item}; echo ${!x}",
    "x=${item}; echo $((x))",
    "n=${item}; (( n > 1 ))",
    "n=$item; [[ $n -gt 1 ]]",
    "for x in ${item}; do (( x )); done",
    "read -r x <<< ${item}; (( x ))",
    "a=(1 ${item}); (( a[1] ))",
    "f() { local x=${item}; [[ x -gt 1 ]]; }; f",
    "export x=${item}; let y=x",
    "echo ${item} | while read -r x; do (( x )); done",
    "echo {1..${item}}",
    'echo "${x/${item}/}"',
    "case ${item} in a) ;; esac",
    "exec {fd}<${item}",
    "shift ${item}",
    "printf %d ${item}",
    "ulimit -n ${item}",
    "enable -f ${item}",
    "hash -p ${item} x",
    "wait -p ${item}",
    "mapfile -C ${item} -c 1 a < /dev/null",
]


@pytest.mark.skipif("bash" not in SHELLS, reason="needs bash")
@pytest.mark.parametrize("script", EVALUATED)
@pytest.mark.parametrize("value", ["a[$(touch pwned)]", "$(touch pwned)", "0+a[$(touch pwned)]"])
def test_whatever_bash_evaluates_by_itself_is_refused_or_harmless(
    tmp_path: Path, script: str, value: str
) -> None:
    """Names, subscripts, integers and arithmetic of bash run what stands in them, also by way of a variable."""
    with suppress(BadReference):
        rendered = render(script, value)
        subprocess.run(
            ["bash", "-c", rendered], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "script",
    ["declare -A m; m[${item}]=1; echo ${m[$item]}", "declare -A m=([${item}]=1)", "x=${item}; echo $((y))",
     "export x=${item}", "printf %s ${item}", "[ -n ${item} ]", "[[ ${item} == x ]]", "a=(${item})",
     "IFS=, read -ra a <<< ${item}"],
)  # fmt: skip
def test_text_may_stand_where_nothing_evaluates_it(script: str) -> None:
    assert "a[b c]" in render(script, "a[b c]")


def test_a_name_may_be_chosen_by_a_value() -> None:
    assert render("echo ${!item}", "HOME") == "item='HOME'\necho ${!item}"
    assert render("x=${item}; echo ${!x} ${!x[@]} ${!it*}", "HOME").startswith("__p1='HOME'\nx=")
    with pytest.raises(BadReference, match="name of a variable"):
        render("x=${item}; echo ${!x}", "a b")


@pytest.mark.skipif("bash" not in SHELLS, reason="needs bash")
def test_arithmetic_counts(run: Callable[[str, str], str]) -> None:
    assert (
        run("bash", render("echo $((${item} * 2)) $((item + 1)); [[ ${item} -eq 7 ]] && echo yes", 7))
        == "14 8\nyes\n"
    )


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo $'${item.x}'", "bad-reference"),
        ("echo `echo \\`echo ${item.x}\\``", "bad-reference"),
        ("echo ${item.x%.py}", "bad-reference"),
        ("`cat <<'E'\n${item.x}\nE\n`", "bad-reference"),
        ("echo ${item.gone}", "undefined-variable"),
        ("echo ${thing.x}", "undefined-variable"),
    ],
)
def test_places_where_no_reference_can_stand(script: str, code: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(script, {"x": "1\na"})
    assert caught.value.code == code


def test_a_nul_is_refused() -> None:
    with pytest.raises(BadReference, match="NUL"):
        render("echo ${item}", "a\0b")


def test_raw_opts_out() -> None:
    assert render("echo ${item:raw}", "a b") == "echo a b"


def test_an_unknown_dotted_name_is_undefined_and_a_plain_one_the_shell_s() -> None:
    assert render("echo ${FOO} ${BAR:-x}", {}) == "echo ${FOO} ${BAR:-x}"
    with pytest.raises(UndefinedVariable):
        render("echo ${foo.bar}", {})


@pytest.mark.parametrize(
    ("script", "written"),
    [
        ("echo ${TOKEN}", 'echo "${TOKEN}"'),
        ('echo "a ${TOKEN}" $TOKEN', 'echo "a ${TOKEN}" $TOKEN'),
        ("echo '${TOKEN}' ${env.TOKEN} ${env:TOKEN}", "echo ''\"${TOKEN}\"'' \"${TOKEN}\" \"${TOKEN}\""),
        ("cat <<EOF\n${TOKEN}\nEOF", "cat <<EOF\n${TOKEN}\nEOF"),
        ("echo ${x.gone:-${TOKEN}}", 'echo "${TOKEN}"'),
        ("echo ${gone:-${TOKEN}}", 'echo ${gone:-"${TOKEN}"}'),
        ("echo ${TOKEN%x} ${#TOKEN}", "echo ${TOKEN%x} ${#TOKEN}"),
        ("TOKEN=x; echo ${TOKEN}", 'TOKEN=x; echo "${TOKEN}"'),
    ],
)  # fmt: skip
def test_a_secret_is_a_reference_to_its_environment_variable(script: str, written: str) -> None:
    assert render_shell(script, WITH_SECRET) == written


@pytest.mark.parametrize(
    "script",
    ["cat <<'EOF'\n${TOKEN}\nEOF", "echo $'${TOKEN}'", "echo ${TOKEN:json}", "echo ${TOKEN | upper}", "${TOKEN:raw}",
     "echo ${x.gone:-a${TOKEN}}", "echo ${x.gone:-a$TOKEN}", "echo $((${TOKEN}))", "echo $((TOKEN))"],
)  # fmt: skip
def test_a_secret_cannot_stand_where_it_would_be_written_out(script: str) -> None:
    with pytest.raises(BadReference):
        render_shell(script, WITH_SECRET)


@settings(max_examples=1000, deadline=None)
@given(script=scripts)
def test_a_secret_never_becomes_part_of_any_script(script: str) -> None:
    script = script.replace("item.x", "env.TOKEN").replace("item", "TOKEN")
    with suppress(TemplateError):
        assert "s3cret" not in render_shell(script, WITH_SECRET)


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=texts)
def test_a_name_that_the_script_sets_is_the_script_s_from_there_on(
    run: Callable[[str, str], str], shell: str, value: str
) -> None:
    script = "printf %s ${item}; for item in '* $x' b; do printf '[%s]' ${item}; done"
    assert run(shell, render(script, value)) == f"{value}[* $x][b]"


def test_a_name_that_the_script_counts_with_keeps_its_value_until_then() -> None:
    assert render("echo ${item}; item=5; (( item > 1 ))", "a b") == (
        "__p1='a b'\necho \"${__p1}\"; item=5; (( item > 1 ))"
    )


def test_computed_values_are_asked_of_the_scope() -> None:
    assert render_shell("echo ${date:%Y-%m} '${uuid}' \"${uuid}\"", Values()) == (
        "__p1='date %Y-%m'\n__p2='uuid'\necho \"${__p1}\" '${uuid}' \"${__p2}\""
    )
    assert render_shell("uuid=$(uuidgen); echo ${uuid}", Values()) == "uuid=$(uuidgen); echo ${uuid}"
    assert render_shell("echo ${uuid}", Values(uuid="mine")) == "__p1='mine'\necho \"${__p1}\""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("item", ["$(touch pwned)", "'; touch pwned; '", "-n"])
def test_an_item_prints_verbatim_in_all_three_quotings(
    run: Callable[[str, str], str], shell: str, item: str
) -> None:
    script = "printf '%s\\n' ${item} \"${item}\" '${item}' # ${item}"
    assert run(shell, render(script, item)) == f"{item}\n" * 3
