"""Jobs for ``dying``: small ones which together have every kind of phase, action and ending.

Their steps say to a log that they ran. What Claude does is written in its prompt, as ``fakes/claude`` has it.
"""

from accounts import Recorded
from crash_worlds import CrashWorld
from dying import Act, Job

SAY = 'say() { echo "$1" >> "LOG"; }'


def _retries(event: Recorded) -> bool:
    return event["event_type"] == "dlq_retry_started"


def _agreed(event: Recorded) -> bool:
    return event["event_type"] == "merge_prompted" and event["answer"] == "flag-yes"


def _fall_ill(world: CrashWorld) -> None:
    world.ill.touch()


def _heal(world: CrashWorld) -> None:
    """What made items fail is repaired, in the repository too."""
    world.ill.unlink()
    world.write("repaired.txt", "by hand\n")
    world.commit("repair")


def _move_target(world: CrashWorld) -> None:
    world.write("elsewhere.txt", "somebody's\n")
    world.commit("meanwhile")


ITEMS = Job(
    "items",
    f"""
grace: 300ms
mode: mapreduce
setup:
  - shell: '{SAY}; say setup; echo 1 > setup.txt'
map:
  input: {{list: [a, b]}}
  item_id: "${{item}}"
  agent_template:
    - shell: '{SAY}; say ${{item}}-first; echo ${{item}} > ${{item}}.txt'
    - write_file: {{path: "out/${{item}}.json", content: {{item: "${{item}}"}}, format: json, create_dirs: true}}
    - shell: '{SAY}; say ${{item}}-last; echo last >> ${{item}}.txt'
reduce:
  - shell: '{SAY}; say reduce; echo ${{map.successful}} > reduce.txt'
""",
)

LOOPS = Job(
    "loops",
    f"""
grace: 300ms
mode: mapreduce
setup:
  - shell: '{SAY}; say setup1; echo 1 > setup.txt'
  - shell: '{SAY}; say setup2; echo 2 >> setup.txt'
map:
  input: {{list: [a, b]}}
  max_parallel: 2
  item_id: "${{item}}"
  agent_template:
    - foreach: echo ${{item}}-x; echo ${{item}}-y
      do:
        - shell: '{SAY}; say ${{item}}; echo ${{item}} >> foreach-$PRODIGY_ITEM_ID.txt'
    - shell: '{SAY}; say ${{item}}-try; test -e ${{item}}.fixed'
      on_failure:
        - shell: '{SAY}; say ${{item}}-repair; touch ${{item}}.fixed'
    - goal_seek:
        goal: grow
        shell: '{SAY}; say ${{item}}-grow; echo more >> ${{item}}.grown'
        validate: 'echo "score: $(( $(wc -l < ${{item}}.grown) * 50 ))"'
        threshold: 100
        max_attempts: 3
reduce:
  - shell: '{SAY}; say reduce1; echo ${{map.successful}} > reduce.txt'
  - shell: '{SAY}; say reduce2; echo 2 >> reduce.txt'
merge:
  - shell: '{SAY}; say merge; echo merge > merge.txt'
""",
)

PLAIN = Job(
    "plain",
    f"""
grace: 300ms
steps:
  - shell: '{SAY}; say first; echo 1 > first.txt'
  - foreach: [x, y, z]
    parallel: 2
    do:
      - shell: '{SAY}; say each-${{item}}; echo ${{item}} > each-${{item}}.txt'
  - shell: '{SAY}; say left'
    detach: forever
  - shell: '{SAY}; say try; test -e handled.txt'
    on_failure:
      - shell: '{SAY}; say handled; echo handled > handled.txt'
  - goal_seek:
      goal: grow
      shell: '{SAY}; say grow; echo more >> grown.txt'
      validate: 'echo "score: $(( $(wc -l < grown.txt) * 50 ))"'
      threshold: 100
      max_attempts: 3
on_success:
  - shell: '{SAY}; say success; echo well > success.txt'
verify:
  - shell: '{SAY}; say verify; test -e elsewhere.txt'
""",
    (
        Act("run FLOW --no-merge", again="resume latest --no-merge"),
        Act("worktree merge latest -y", begun=_agreed, before=_move_target),
    ),
)

_ILL = f"""
grace: 300ms
mode: mapreduce
map:
  input: {{list: [a, b, c]}}
  item_id: "${{item}}"
  max_parallel: 1
  agent_template:
    - shell: '{SAY}; say ${{item}}-first; echo ${{item}} > ${{item}}.txt'
    - shell: '{SAY}; say ${{item}}-well; test ${{item}} = a || test ! -e ILL'
    - shell: '{SAY}; say ${{item}}-hard; test ${{item}} != c'
reduce:
  - shell: '{SAY}; say reduce; ls *.txt > reduced'
"""

RETRY = Job(
    "retry",
    _ILL,
    (
        Act("run FLOW -y", before=_fall_ill, mortal=False),
        Act("dlq retry latest -y", begun=_retries, before=_heal),
    ),
)
"""Dead letters are tried again after the merge: the work goes to a new branch. One stays in the queue."""

RETRY_BEFORE_MERGE = Job(
    "retry-before-merge",
    _ILL,
    (
        Act("run FLOW --no-merge", again="resume latest --no-merge", before=_fall_ill),
        Act("dlq retry latest --reduce -y", begun=_retries, before=_heal),
    ),
)
"""Dead letters are tried again on the branch of the run, and reduce runs again."""

COLLISION = Job(
    "collision",
    f"""
grace: 300ms
mode: mapreduce
on_conflict: rerun
map:
  input: {{list: [a, b]}}
  item_id: "${{item}}"
  max_parallel: 2
  agent_template:
    - shell: '{SAY}; say ${{item}}-add; echo ${{item}} >> all.txt; sort -o all.txt all.txt'
""",
)
"""Two agents change one line; one of them runs again on what the other did."""

CLAUDE = Job(
    "claude",
    f"""
grace: 300ms
mode: mapreduce
map:
  input: {{list: [a, b]}}
  item_id: "${{item}}"
  max_parallel: 2
  agent_template:
    - claude: '/sh {SAY}; say ${{item}}-ask; echo ${{item}} > ${{item}}.txt'
    - shell: '{SAY}; say ${{item}}-after; echo after >> ${{item}}.txt'
reduce:
  - claude: '/sh {SAY}; say reduce; cat *.txt > reduced'
""",
)
"""Launches that are paid for."""

JOBS = (ITEMS, LOOPS, PLAIN, RETRY, RETRY_BEFORE_MERGE, COLLISION, CLAUDE)
