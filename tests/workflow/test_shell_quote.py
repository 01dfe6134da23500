"""Against real shells: a value is exactly itself wherever it stands, and nothing else ever runs."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodigy.workflow.scope import ItemScope, resolve
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


@pytest.mark.parametrize(
    "script",
    [
        "awk '{print $1, ${x}}' f; echo ${f%.py} ${f:0:7} ${#f} $$ $@ $(date) $((1 + 2)) ${x:-d} ${y:=z}",
        "node -e 'console.log(`${user.name}`)'",
        "cat <<'EOF'\n${user.name} $x `y`\nEOF",
        "echo \\${item.x} ${{ github.sha }} '\\$ARG'",
        "arr=(a b); echo ${arr[0]} ${arr[@]}",
        "echo $'it\\'s' $\"x\"",
    ],
)
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
    class Arguments(Nothing):
        def knows(self, root: str) -> bool:
            return root == "ARG"

        def lookup(self, path: Any) -> Any:
            return resolve({"ARG": "a b"}, path)

    assert render_shell("echo '$ARG'", Arguments()) == "__p1='a b'\necho ''\"${__p1}\"''"


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
        ("cat <<'a'\n${item.x}\na", "quoted-heredoc-collision"),
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


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("item", ["$(touch pwned)", "'; touch pwned; '", "-n"])
def test_an_item_prints_verbatim_in_all_three_quotings(
    run: Callable[[str, str], str], shell: str, item: str
) -> None:
    script = "printf '%s\\n' ${item} \"${item}\" '${item}' # ${item}"
    assert run(shell, render(script, item)) == f"{item}\n" * 3
