"""What an agent leaves is looked at: each way of leaving it wrong is a failure of its own, and the work is kept."""

from typing import Any

import pytest
from worlds import World

VALUE = "hunter2-and-more"
FLOW = """
mode: mapreduce
secrets: {TOKEN: {provider: env, key: TOKEN_SOURCE}}
worktree: {include: local.yml}
map:
  input: [bad, good]
  agent_template:
    - shell: |
        if [ ${item} = good ]; then echo fine > good.txt; exit 0; fi
        BAD
"""
WAYS = {
    "history-rewritten": (
        "echo work > work.txt; git add work.txt; git checkout --quiet --orphan mine; git commit --quiet -m other",
        "work.txt",
    ),
    "commit-failed": ("echo work > refused.txt", "refused.txt"),
    "secret-committed": ('echo "$TOKEN" > work.txt', "work.txt"),
    "included-committed": ("echo work > work.txt; git add --force local.yml work.txt", "work.txt"),
}


def letters(world: World, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.json("dlq", "list", "--class", kind)["items"]
    return found


@pytest.mark.parametrize("kind", WAYS)
def test_each_is_its_own_failure_kept_and_told(world: World, kind: str) -> None:
    """Its class is in the attempt, the queue and the report; the ref holds the work; the rest is merged."""
    bad, file = WAYS[kind]
    world.environ["TOKEN_SOURCE"] = VALUE
    world.write("local.yml", "mine\n")
    hook = world.repository / ".git/hooks/pre-commit"
    hook.write_text(
        "#!/bin/sh\n! git diff --cached --name-only | grep -q refused.txt || { echo no >&2; exit 1; }\n"
    )
    hook.chmod(0o755)
    done = world.prodigy("run", world.workflow(FLOW.replace("BAD", bad)), "-y", "--json")
    [letter] = letters(world, kind)
    assert letter["text"] == "bad"
    assert letter["reprocess_eligible"] is False
    item = world.json("dlq", "inspect", "bad")
    [attempt] = item["failure_history"]
    assert attempt["error_type"] == kind
    assert world.git("cat-file", "-t", f"{attempt['rescue_ref']}:{file}") == "blob"
    assert item["worktree_artifacts"]["rescue_ref"] == attempt["rescue_ref"]
    assert f'"error_class":"{kind}"' in done.stdout
    assert VALUE not in done.stdout + done.stderr + world.journals()[-1].read_text()
    assert (world.repository / "good.txt").read_text() == "fine\n"
    assert world.git("log", "--all", "--not", "--glob=refs/prodigy", "--format=%H", "--", file) == ""


def test_what_changed_nothing_is_told_per_item(world: World) -> None:
    """In the line of the item, the result, the report and the events; an empty commit is no change either."""
    flow = world.workflow("""
mode: mapreduce
map:
  input: [idle, empty, busy]
  agent_template:
    - shell: |
        case ${item} in
          empty) git commit --quiet --allow-empty -m empty ;;
          busy) echo x > x.txt ;;
        esac
""")
    said = world.prodigy("run", flow, "--no-merge")
    assert "idle | no change" in said.stderr
    assert "3 done (2 without a change)" in said.stdout + said.stderr
    names = {event["item_id"]: event["item"] for event in world.events("item_selected")}
    completed = world.events("agent_completed")
    ended = {names[event["item_id"]]: event.get("unchanged", False) for event in completed}
    assert ended == {"idle": True, "empty": True, "busy": False}
    report = world.json("run", flow, "--no-merge")
    assert report["items"]["unchanged"] == 2
    assert {item["text"]: item["unchanged"] for item in report["items"]["list"]} == ended


def test_commits_of_ours_name_job_and_item(world: World) -> None:
    """Commits of what steps leave, and merges of agents; git itself reads the trailers."""
    flow = world.workflow("""
mode: mapreduce
map:
  input: [one, two]
  agent_template:
    - shell: echo ${item} > ${item}.txt
""")
    assert world.prodigy("run", flow, "--no-merge").returncode == 0
    [session] = world.json("worktree", "ls")["sessions"]
    job = world.events("job_started")[0]["job_id"]
    form = (
        "%(trailers:key=Prodigy-Job,valueonly,separator=)/%(trailers:key=Prodigy-Item,valueonly,separator=)"
    )
    merges = world.git("log", "--merges", f"--format={form}", f"main..{session['branch_name']}").split()
    commits = world.git("log", "--no-merges", f"--format={form}", f"main..{session['branch_name']}").split()
    items = sorted(event["item_id"] for event in world.events("item_selected"))
    assert sorted(commits) == [f"{job}/{item}" for item in items]
    assert merges
    assert set(merges) <= set(commits)
