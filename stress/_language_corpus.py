"""Texts of the workflow language to begin a fuzz with: what this repository's documentation, examples and tests hold.

Rules: the texts depend on nothing but the files, so that a seed and a number give the same input again.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^[ \t]*```ya?ml[^\n]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
_LOOKS_LIKE_ONE = re.compile(r"\b(?:shell|claude|map|commands|goal_seek|write_file|env|templates)\b['\"]?:")
_EXPRESSIONS = frozenset({"when", "filter", "condition", "if", "where", "value", "by", "validation"})
_SCRIPTS = frozenset({"shell", "command", "test", "input"})
_LONGEST = 20_000

EXPRESSIONS = (
    "item.n >= 5 && !(item.f contains 'x' || item.tags[0] in ['a', \"b\"])",
    "matches(item.path, '^src/.*\\.rs$') and length(item.tags) > 1",
    "${n} >= 5 and v.success", "item.a is not null", "x exists", "defined(ver) or ver contains 'true'",
    "item.score =~ '[0-9]+' and not item.done", "any(item.tags, item == 'b')", "in(['dev', 'prod'])",
    "\"${item.name}\" starts_with 'a${index}'", "abs(min(item.n, -1.5e3)) <> max(1, 2)", "count(item.tags) = 2",
    "item.f.startsWith('x') && item.g.endsWith(\"\\u0041\")", "((((null))))", "item['odd key'][-1] != null",
    "number('12') + 1", "!true", "[1, [2, {}]]", "${map.results[*].success:json} == '[true]'", "not not is_empty([])",
)  # fmt: skip
TEMPLATES = (
    "${item.path} and ${text:json} ${list:lines} $text \\${x} $$ ${{x}}", "${list:*.rs,*.py} ${list[*].a:-none}",
    "${nothing:-${text:-$deep}}", "${list | length} ${text | default: x | upper}", "${date:%Y-%m-%d} ${uuid}",
    "${env.HOME}${env:HOME}", "${item['a b'][0].c}", "${text|pattern:*.x}", "${count:map.results[*] where success}",
    "${unique:map.results[*].tags[*]} ${sort:list}", "${sum:map.results[*].n where item.n > ${number} and x !~ '}'}",
    "${file:${text}} ${json:$.a[?(@.b > 2)]:from:x} ${cmd:awk '{print}' ${text}}",
    "${list[-1]:csv}", "${text:words:json}", "${deep.a.b.c.d}", "${", "${}", "${ text }", "${text:zzz}",
)  # fmt: skip
SCRIPTS = (
    "printf '%s\\n' ${item} \"${item}\" '${item}' # ${item}", "cat <<EOF\n${text} $text $(echo ${text})\nEOF\n",
    "cat <<'EOF'\n${text}\nEOF\necho ${list}", "cat <<-\\E | sed s/a/b/\n\t${text}\n\tE\n", "x=`echo ${text}`",
    "awk 'END{printf $1}' </dev/null; f=x.py; echo ${f%.py} ${list[0]}", "echo $((${number} + 1)) $((number * 2))",
    "case ${text} in a) ;; *${text}*) echo ${text};; esac", 'for x in ${text:words}; do echo "$x"; done',
    "[[ ${number} -eq 3 ]] && echo ${text:raw}", "a=${text} b=\"${text}\" sh -c 'echo ${text}'", "echo $'${text}'",
    "${text#x} ${#text} ${text:?no} ${text:0:7} ${!text} ${list[@]}", "f() { local text=1; echo ${text}; }; f",
    "echo \"${x:-'${text}'}\" ${x:+\"${text}\"}", "cat <<A <<'B'\n${text}\nA\n${text}\nB\n", "read text; echo $text",
    'eval "echo ${text}"', 'echo \\${text} \\\\${text} "\\${text}"', "(echo ${text}\n#${text}\n)", "${item.a.b}>f",
)  # fmt: skip
SORTS = (
    "item.n DESC NULLS LAST, item.path", "priority", "item.a[0].b ASC nulls first", "item", "index desc", "'a b'",
)  # fmt: skip
PATHS = (
    "$.items[*]", "$.items[?(@.n > 5 && @.name == 'x')]", "items[*].tags[0]", "$..n", "$.items[1:2]", "$['a b']", "",
    "$.items[?(@.name=x)]", "$.items[?@.name =~ /a.*/i]", "$.items[?length(@.tags)>=2]",
    "$.items[?search(@.path, 'a{2}|b')]", "$..[?match(@, '(a|b)*c')]", "$[*]", ".items",
)  # fmt: skip
PATTERNS = (
    r"^v(\d+)\.(?P<minor>\d+)$", "(a|b)*c{2,3}", "[[:alpha:]]+", r"(?i)x(?=y)(?<!z)\b", r"(\w+)\s+\1", "a{1,1000}",
)  # fmt: skip
CONTENTS = (
    '{"items": [{"n": 1, "tags": ["a"]}, {"n": 2}]}', '{"a": 1}\n{"a": 2}\n', 'a,b\n1,"x\ny"\n', "one\n\ntwo\n",
    "- {a: 1}\n- b\n", "score: 87.5 %", '```json\n{"completion_percentage": 40, "gaps": {}}\n```', "8/100", "[1, 2]",
)  # fmt: skip


class Corpus(Struct, frozen=True):
    """Texts by what they are; ``trees`` are the workflows as plain data."""

    workflows: tuple[str, ...]
    trees: tuple[Any, ...]
    expressions: tuple[str, ...]
    templates: tuple[str, ...]
    scripts: tuple[str, ...]


@cache
def corpus() -> Corpus:
    """All texts that are found, each once."""
    workflows = tuple(dict.fromkeys(text for text in _texts() if len(text) <= _LONGEST))
    trees = tuple(tree for tree in map(tree_of, workflows) if tree is not None)
    found = [pair for tree in trees for pair in _scalars(tree, "")]
    return Corpus(
        workflows=workflows,
        trees=trees,
        expressions=_each(EXPRESSIONS, (text for key, text in found if key in _EXPRESSIONS)),
        templates=_each(TEMPLATES, (text for key, text in found if "$" in text and key not in _SCRIPTS)),
        scripts=_each(SCRIPTS, (text for key, text in found if key in _SCRIPTS)),
    )


def _each(own: tuple[str, ...], found: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*own, *found]))


def _texts() -> Iterator[str]:
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        yield from (textwrap.dedent(block[1]) for block in _BLOCK.finditer(page.read_text()))
    for example in sorted(ROOT.glob("examples/**/*.y*ml")):
        yield example.read_text()
    for module in sorted([*ROOT.glob("tests/workflow/*.py"), *ROOT.glob("tests/e2e/*.py")]):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = textwrap.dedent(node.value)
                if _LOOKS_LIKE_ONE.search(text):
                    yield text


@cache
def tree_of(text: str) -> Any:
    """A workflow as plain data, ``None`` if it is none."""
    try:
        tree = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError):
        return None
    return tree if isinstance(tree, dict | list) else None


def _scalars(tree: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every text of a tree with the key that it stands under."""
    if isinstance(tree, str):
        yield key, tree
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield from _scalars(value, str(name))
    elif isinstance(tree, list):
        for value in tree:
            yield from _scalars(value, key)
