"""Every workflow of the tutorial does what the tutorial says, in real runs."""

import json

import pytest
from pages import ROOT, all_blocks
from running import EXAMPLES, read, run, script_claude
from worlds import World

TUTORIAL = [block.title for block in all_blocks("yaml") if block.page == ROOT / "docs/tutorial.md"]


def run_part(world: World, name: str, *flags: str) -> str:
    return run(world, EXAMPLES[f"tutorial/{name}.yml"], *flags).stderr


def test_every_part_is_run_here() -> None:
    names = [value.__name__ for key, value in globals().items() if key.startswith("test_part_")]
    assert [f"tutorial/{name.split('_')[-1]}.yml" for name in names] == TUTORIAL


def test_part_1_hello(world: World) -> None:
    run_part(world, "hello")
    assert read(world, "built.txt")


def test_part_2_repair(world: World) -> None:
    said = run_part(world, "repair")
    assert read(world, "settings.ini") == "retries = 3\n"
    tries = [
        event.get("try", 1)
        for event in world.events()
        if event.get("step") == "2" and event["event_type"] == "step_failed"
    ]
    assert tries == [1, 2]
    assert "warning: [3/3]" in said


def test_part_3_values(world: World) -> None:
    run_part(world, "values")
    assert read(world, "PAGES.txt") == "2 pages, the shortest is docs/two words.md\n"
    assert json.loads(read(world, "reports/pages.json")) == {"pages": 2, "by": "workflow"}


@pytest.mark.parametrize(
    ("profile", "server"), [((), "http://localhost:8080"), (("--profile", "live"), "https://example.org")]
)
def test_part_4_settings(world: World, profile: tuple[str, ...], server: str) -> None:
    """The secret must be there, reaches the command, and is shown nowhere."""
    flow = world.workflow(EXAMPLES["tutorial/settings.yml"].text)
    done = world.prodigy("run", flow, "-y", "--param", "stage=test")
    assert done.returncode == 2
    assert "secret-missing" in done.stderr
    world.environ |= {"API_TOKEN": "tok-48151623"}
    run_part(world, "settings", "--param", "stage=test", *profile)
    assert read(world, "deployed.txt") == f"stage=test server={server}\n"
    kept = [path for path in world.home.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"tok-48151623" in path.read_bytes()]
    assert any(b"the token is ***" in path.read_bytes() for path in kept)
    done = world.prodigy("run", flow, "-y", "--param", "stage=other")
    assert done.returncode == 2
    assert "parameter-invalid" in done.stderr


def test_part_5_claude(world: World) -> None:
    """The check finds what should not have changed, and Claude takes it back."""
    log = script_claude(
        world,
        {
            "most important": "/say an install section",
            "Add this to README.md": "/sh echo '## Install' >> README.md; echo stray > stray.txt",
            "Take back": "/sh git rm -q stray.txt; git commit -q --amend --no-edit; git log --oneline | wc -l",
        },
    )
    run_part(world, "claude")
    assert read(world, "README.md") == "# Project\n## Install\n"
    assert not (world.repository / "stray.txt").exists()
    launches = [json.loads(line) for line in log.read_text().splitlines()]
    assert "an install section" in launches[1]["prompt"]
    assert launches[0]["options"]["--allowed-tools"] == ["Read", "Grep", "Glob"]
    assert {launch["options"]["--max-turns"] for launch in launches} == {"40"}
    assert len(launches) == 3


def test_part_6_headlines(world: World) -> None:
    world.write("vendor/theirs.md", "theirs\n")
    world.write("empty.md", "")
    world.commit()
    run_part(world, "headlines")
    assert read(world, "docs/two words.md") == "# two words.md\ntext\n"
    assert read(world, "vendor/theirs.md") == "theirs\n"
    assert read(world, "HEADLINES.md") == "2 of 3 pages have a headline\n"
    assert [item["item_id"] for item in world.json("dlq", "list")["items"]] == ["empty.md"]


def test_part_6_retry(world: World) -> None:
    """The repair is committed after the merge, and reaches the agents; the summary is made anew."""
    world.write("broken-cover", "")
    world.commit()
    run_part(world, "retry")
    assert read(world, "counted.txt") == "counted-index.txt\n"
    world.git("rm", "--quiet", "broken-cover")
    world.commit("repair")
    done = world.prodigy("dlq", "retry", "latest", "--reduce", "-y")
    assert done.returncode == 0, done.stderr
    assert read(world, "counted.txt") == "counted-cover.txt\ncounted-index.txt\n"
    assert world.leftovers() == []


def test_part_7_policy(world: World) -> None:
    run_part(world, "policy")
    assert read(world, "failed.txt") == "1 failed\n"
    assert [event["item"]["n"] for event in world.events("item_selected")] == [4, 3, 2, 1]
    attempts = {result["item"]["n"]: result["attempts"] for result in json.loads(read(world, "results.json"))}
    assert attempts == {1: 1, 2: 1, 3: 2, 4: 1}
    done = world.prodigy(
        "run", world.workflow(EXAMPLES["tutorial/policy.yml"].text), "--no-merge", "--strict"
    )
    assert done.returncode == 1


def test_part_8_goal(world: World) -> None:
    run_part(world, "goal")
    assert read(world, "score.txt") == "100 points, 4 attempts\n"
    assert read(world, "glossary.txt") == "entry 1\nentry 2\nentry 3\nentry 4\n"


def test_part_9_templates(world: World) -> None:
    run_part(world, "templates")
    assert read(world, "pages/Start.md") == "# Start\n\nTo be written.\n"
    assert read(world, "pages/Help.md") == "# Help\n\nAsk us.\n"
    assert read(world, "pages/Links.md") == "# Links\n\nTo be written.\n"


def test_part_10_merge(world: World) -> None:
    run_part(world, "merge")
    assert read(world, "hello.py") == 'print("hello")\n'
    phases = [event["phase"] for event in world.events("phase_completed")]
    assert phases == ["steps", "on_success", "merge", "verify"]


def test_what_cannot_be_verified_is_not_merged(world: World) -> None:
    text = EXAMPLES["tutorial/merge.yml"].text.replace("""'print("hello")'""", "'print('")
    done = world.prodigy("run", world.workflow(text), "-y")
    assert done.returncode == 1
    assert not (world.repository / "hello.py").exists()
    assert world.git("branch", "--list", "prodigy-*")
