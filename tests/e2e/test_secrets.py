"""Secrets in hostile places: whatever commands do with them, no value is written down or shown."""

import base64
import json
import re
import subprocess  # noqa: TC003 - as everywhere in tests
from pathlib import Path
from urllib.parse import quote

import pytest
from worlds import World

PLAIN = "xJ7-hunter2.Qz9"
AWKWARD = "p\"a'ss\\w/or+d=é%20$HOME"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQ\n-----END KEY-----"

HEAD = r"""
secrets: {PLAIN: MY_PLAIN, KEY: {provider: file, key: ../key.pem}}
env:
  AWKWARD: {secret: true, value: "${MY_AWKWARD}"}
  URL: "https://user:${PLAIN}@host"
"""
HOSTILE = r"""
  - shell: |
      echo "$PLAIN $AWKWARD $KEY $URL"
      printf '%s' "$PLAIN" | base64; printf 'x%s' "$AWKWARD" | base64 -w 7; printf 'xy%s' "$KEY" | base64
      printf '%s' "$PLAIN" | fold -w 3; echo; printf '%s' "$KEY" | fold -w 5 | sed 's/^/    /'; echo
      python3 -c 'import json, os, urllib.parse
      for name in "PLAIN", "AWKWARD", "KEY":
          value = os.environ[name]
          print(json.dumps({"v": value}), json.dumps(json.dumps(value)), urllib.parse.quote(value, safe=""))
          print(urllib.parse.quote_plus(value), value.encode().hex()[:8])'
      python3 -u -c 'import os, time
      for letter in os.environ["PLAIN"]:
          print(letter, end="", flush=True)' >&2
      env | grep -a -e PLAIN -e AWKWARD >&2
    name: say it
  - shell: printf 'head %s tail' "$PLAIN"
    id: told
    capture: told
  - shell: |
      test '${told}' = "head $PLAIN tail"
      echo "${told}" > told.txt; rm told.txt; echo '${told}' >&2
    name: 'with ${told}'
  - shell: 'head -c 70000 /dev/zero | tr "\0" . ; echo "$PLAIN"; head -c 65530 /dev/zero | tr "\0" . '
"""


def values() -> dict[str, str]:
    return {"PLAIN": PLAIN, "AWKWARD": AWKWARD, "KEY": KEY}


def traces(value: str) -> list[bytes]:
    """Everything that gives a value away."""
    raw = value.encode()
    found = [raw, json.dumps(value)[1:-1].encode(), json.dumps(value, ensure_ascii=False)[1:-1].encode()]
    found += [quote(value, safe="").encode(), json.dumps(json.dumps(value)[1:-1])[1:-1].encode()]
    for before in range(3):
        digits = base64.b64encode(b"x" * before + raw)
        found.append(digits[4 : len(digits) // 4 * 4 - 4])
    return found


def assert_hidden(data: bytes, where: str) -> None:
    dense = re.sub(rb"\s|\\n", b"", data)
    for name, value in values().items():
        for trace in traces(value):
            assert trace not in data, f"{name} in {where}"
            assert re.sub(rb"\s|\\n", b"", trace) not in dense, f"{name}, split, in {where}"


def assert_nothing_kept(world: World, *done: "subprocess.CompletedProcess[str]") -> None:
    """No stream and no file under the home, worktrees aside, holds a value; nor does any message of a commit."""
    for process in done:
        assert_hidden(process.stdout.encode(), "stdout")
        assert_hidden(process.stderr.encode(), "stderr")
    files = [path for path in world.home.rglob("*") if path.is_file() and "worktrees" not in path.parts]
    assert any(path.suffix == ".out" for path in files)
    for path in files:
        assert_hidden(path.read_bytes(), str(path))
        assert_hidden(str(path).encode(), "a path")
    assert_hidden(world.git("log", "--all", "--format=%B").encode(), "git")
    assert_hidden(world.git("for-each-ref").encode(), "refs")


@pytest.fixture
def hostile(world: World) -> World:
    world.environ |= {"MY_PLAIN": PLAIN, "MY_AWKWARD": AWKWARD}
    (world.folder / "key.pem").write_text(KEY + "\n")
    return world


def test_nothing_of_a_plain_run_gives_a_secret_away(hostile: World) -> None:
    flow = hostile.workflow(f"{HEAD}commands:{HOSTILE}  - shell: 'echo x > x.txt; : ${{told}}'\n")
    done = hostile.prodigy("run", flow, "-y", "-vvv")
    assert done.returncode == 0, done.stderr
    assert "***" in done.stderr
    status = hostile.prodigy("status", "latest", "--json")
    shown = hostile.prodigy("events", "ls", "--json")
    assert_nothing_kept(hostile, done, status, shown)
    logs = "".join(path.read_text() for path in hostile.home.rglob("*.out"))
    assert "*** *** *** https://user:***@host" in logs


def test_nothing_of_a_failed_run_gives_a_secret_away(hostile: World) -> None:
    flow = hostile.workflow(
        f"{HEAD}commands:{HOSTILE}  - shell: 'echo $AWKWARD >&2; echo no $PLAIN >&2; exit 3'\n"
    )
    done = hostile.prodigy("run", flow, "--json")
    assert done.returncode == 1
    assert "no ***" in done.stdout
    assert_nothing_kept(hostile, done, hostile.prodigy("run", flow, "--jsonl"))


def test_items_hooks_and_dead_letters_give_nothing_away(hostile: World) -> None:
    """Agents get their items as they are; every record of them names the secret only."""
    (hostile.repository / ".git" / "hooks" / "commit-msg").write_text(
        '#!/bin/sh\necho "hook says $PLAIN" >&2\nexit 0\n'
    )
    (hostile.repository / ".git" / "hooks" / "commit-msg").chmod(0o755)
    flow = f"""{HEAD}
mode: mapreduce
setup: [{{shell: 'printf "%s\\n" "one $PLAIN" "two $PLAIN" three > items.txt'}}]
map:
  input: items.txt
  item_id: "${{item}}"
  agent_template:
    - shell: 'case "${{item}}" in one*) test "${{item}}" = "one $PLAIN";; esac'
    - shell: 'echo "${{item}}" | tr -d "$PLAIN" > made-${{item_index}}.txt'
      name: 'make ${{item}}'
    - shell: 'case "${{item}}" in two*) echo "no ${{item}}" >&2; exit 4;; esac'
    - shell: 'echo "${{item}} $URL"'
      capture: said
reduce:
  - shell: 'echo "${{map.results}}" && grep -c . "${{map.results_file}}"'
"""
    done = hostile.prodigy("run", hostile.workflow(flow), "-y", "-vv")
    assert done.returncode == 0, done.stderr
    listed = hostile.prodigy("dlq", "ls", "--json")
    shown = hostile.prodigy("dlq", "show", "latest", "--json")
    assert_nothing_kept(hostile, done, listed, shown)
    [letter] = hostile.events("dlq_item_added")
    assert letter["item"] == "two ***PLAIN***"
    assert [event["item"] for event in hostile.events("item_selected")] == [
        "one ***PLAIN***",
        "two ***PLAIN***",
        "three",
    ]


def test_items_that_a_command_prints_reach_the_agents_whole(hostile: World) -> None:
    flow = hostile.workflow(f"""{HEAD}
mode: mapreduce
map:
  input: {{command: 'echo "only $PLAIN"'}}
  agent_template:
    - shell: 'test "${{item}}" = "only $PLAIN" && grep -F -e PLAIN "${{item_file}}"'
""")
    done = hostile.prodigy("run", flow, "-y")
    assert done.returncode == 0, done.stderr
    assert hostile.events("dlq_item_added") == []
    assert_nothing_kept(hostile, done)


def test_a_commit_with_a_secret_is_not_merged(hostile: World) -> None:
    flow = hostile.workflow(f"{HEAD}commands:\n  - shell: 'printf %s \"$PLAIN\" | base64 > kept.txt'\n")
    done = hostile.prodigy("run", flow, "-y")
    assert done.returncode == 1
    assert "secret-committed" in done.stderr
    assert not (hostile.repository / "kept.txt").exists()
    agents = hostile.workflow(f"""{HEAD}
mode: mapreduce
map:
  input: [bad, good]
  agent_template:
    - shell: 'if [ ${{item}} = bad ]; then git commit --allow-empty -m "says $PLAIN"; else echo x > good; fi'
""")
    done = hostile.prodigy("run", agents, "-y", "--json")
    assert [event["item_id"] for event in hostile.events("dlq_item_added")] == [
        event["item_id"] for event in hostile.events("item_selected") if event["item"] == "bad"
    ]
    assert (hostile.repository / "good").exists()


def test_a_secret_in_the_workflow_is_warned_about_and_not_kept(hostile: World) -> None:
    flow = hostile.workflow(f"secrets: {{HERE: 'xx {PLAIN} yy'}}\ncommands: [{{shell: 'echo $HERE'}}]\n")
    done = hostile.prodigy("run", flow, "-y")
    assert done.returncode == 0, done.stderr
    assert "secret-in-text" in done.stderr
    files = [path for path in hostile.home.rglob("*") if path.is_file() and "worktrees" not in path.parts]
    for path in files:
        assert PLAIN.encode() not in path.read_bytes(), path


def test_the_script_never_holds_the_value(hostile: World) -> None:
    flow = hostile.workflow(f"""{HEAD}
commands:
  - shell: 'k="${{PLAIN}}"; test "$k" = "$PLAIN" && ! tr "\\0" "\\n" < /proc/$$/cmdline | grep -F -e "$PLAIN"'
""")
    done = hostile.prodigy("run", flow, "-y")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ("secrets: {S: NOT_SET}", "secret-missing"),
        ("env_files: [{path: no.env, required: true}]", "env-file-missing"),
        ("env: {A: $B, B: $A}", "env-cycle"),
        ("env: {A: {command: 'exit 3'}}", "env-command-failed"),
    ],
)
def test_what_is_missing_is_found_before_anything_is_made(world: World, declared: str, code: str) -> None:
    done = world.prodigy("run", world.workflow(f"{declared}\ncommands: [{{shell: 'touch ran'}}]\n"))
    assert done.returncode == 2
    assert code in done.stderr
    assert world.leftovers() == []
    assert world.journals() == []


def test_profiles(world: World) -> None:
    told = world.folder / "told"
    flow = world.workflow(f"""
env: {{TIER: {{default: dev, prod: live}}}}
profiles: {{ci: {{TIER: ci}}}}
active_profile: ci
commands: [{{shell: 'echo "$TIER" > {told}'}}]
""")

    def tier(*flags: str) -> str:
        done = world.prodigy("run", flow, "-y", *flags)
        assert done.returncode == 0, done.stderr
        return told.read_text()

    assert tier() == "ci\n"
    world.environ["PRODIGY_PROFILE"] = "prod"
    assert tier() == "live\n"
    assert tier("--profile", "ci") == "ci\n"
    unknown = world.prodigy("run", flow, "--profile", "prd")
    assert unknown.returncode == 2
    assert "did you mean `prod`?" in unknown.stderr


def test_values_asked_anew_and_step_environments(world: World) -> None:
    counter = Path(world.folder / "count")
    flow = world.workflow(f"""
env:
  ONCE: {{command: "echo once >> {counter}; echo 1"}}
  EACH: {{command: "echo each >> {counter}; echo 2", cache: false}}
  BASE: plain
commands:
  - shell: test "$ONCE$EACH$BASE$OWN" = 12plain-$HOME-plain
    env: {{OWN: "-$HOME-${{BASE}}"}}
  - shell: test "$ONCE$EACH$BASE" = 12plain && test -z "$OWN"
  - shell: test -z "$ONCE$BASE" && test "$OWN" = x && test -n "$PATH"
    env: {{OWN: x}}
    clear_env: true
""")
    done = world.prodigy("run", flow, "-y", "-vv")
    assert done.returncode == 0, done.stderr
    said = counter.read_text().split()
    assert said.count("once") == 1
    assert said.count("each") == 2
