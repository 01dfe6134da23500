"""Declared variables: layers, profiles, references in any order, what has to wait and what cannot be had."""

from collections.abc import Generator, Mapping
from typing import Any

import pytest

from prodigy.errors import WorkflowError
from prodigy.workflow.environment import Request, Resolved, resolve
from prodigy.workflow.environment_scope import Plain
from prodigy.workflow.layers import active_profile, essential, known_profiles
from prodigy.workflow.model import Environment, EnvValue, EnvVar, Expr, Profile, Workflow


def text(name: str, value: str, **more: Any) -> EnvVar:
    return EnvVar(name=name, values={"": EnvValue(text=value)}, **more)


def made(name: str, **value: Any) -> EnvVar:
    return EnvVar(name=name, values={"": EnvValue(**value)})


def layer(*variables: EnvVar, secrets: tuple[EnvVar, ...] = ()) -> Environment:
    return Environment(variables=variables, secrets=secrets)


def resolved(
    *layers: Environment,
    answers: Mapping[str, str] | None = None,
    asked: list[Request] | None = None,
    **options: Any,
) -> Resolved:
    """Resolve, with the answers to requests by the variable's name."""
    base = options.pop("base", {"HOME": "/home/ann", "PATH": "/bin"})
    scope = Plain(options.pop("roots", {}))
    answering = resolve(layers, base, scope, **options)
    ended: list[Resolved] = []

    def whole() -> Generator[Request, str, None]:
        ended.append((yield from answering))

    requests = whole()
    request = next(requests, None)
    while request is not None:
        if asked is not None:
            asked.append(request)
        try:
            request = requests.send((answers or {})[request.name])
        except StopIteration:
            break
    return ended[0]


def values(*layers: Environment, **options: Any) -> dict[str, str]:
    return resolved(*layers, **options).values


def code_of(*layers: Environment, **options: Any) -> str:
    with pytest.raises(WorkflowError) as caught:
        resolved(*layers, **options)
    return caught.value.code


def test_variables_see_each_other_in_any_order() -> None:
    found = values(layer(text("A", "${B}-a"), text("B", "$C.b"), text("C", "c")))
    assert found == {"A": "c.b-a", "B": "c.b", "C": "c"}


def test_a_variable_that_names_itself_means_what_lies_below() -> None:
    lower, upper = layer(text("PATH", "/opt:${PATH}")), layer(text("PATH", "/usr:$PATH"))
    assert values(lower, upper) == {"PATH": "/usr:/opt:/bin"}


def test_the_last_layer_wins_and_is_seen_by_those_below() -> None:
    lower, upper = layer(text("HOST", "dev"), text("URL", "http://$HOST")), layer(text("HOST", "live"))
    assert values(lower, upper) == {"HOST": "live", "URL": "http://live"}


def test_values_by_profile_fall_back_on_the_default_and_else_are_unset() -> None:
    tier = EnvVar(name="TIER", values={"": EnvValue(text="dev"), "prod": EnvValue(text="live")})
    only = EnvVar(name="ONLY", values={"prod": EnvValue(text="x")})
    assert values(layer(tier, only)) == {"TIER": "dev"}
    assert values(layer(tier, only), profile="prod") == {"TIER": "live", "ONLY": "x"}
    assert values(layer(tier, only), profile="other") == {"TIER": "dev"}


def test_a_circle_is_named() -> None:
    with pytest.raises(WorkflowError, match="`A` → `B` → `A`") as caught:
        resolved(layer(text("A", "${B}"), text("B", "${A}")))
    assert caught.value.code == "env-cycle"


def test_the_process_and_defaults() -> None:
    assert values(layer(text("A", "$HOME/x ${env.HOME} ${NOPE:-none} $NOPE"))) == {
        "A": "/home/ann/x /home/ann none $NOPE"
    }
    assert code_of(layer(text("A", "${NOPE}"))) == "undefined-variable"


def test_values_are_never_read_twice() -> None:
    assert values(layer(text("A", "${B}"), made("B", kind="literal", text="$HOME ${HOME}"))) == {
        "A": "$HOME ${HOME}",
        "B": "$HOME ${HOME}",
    }


def test_commands_get_what_they_mention_in_their_environment() -> None:
    asked: list[Request] = []
    found = resolved(
        layer(
            made("OUT", kind="command", text='echo "$A ${B} $i ${branch}"'), text("A", "1"), text("B", "$A$A")
        ),
        answers={"OUT": "1 11\n\n"},
        asked=asked,
        roots={"branch": "it's main"},
    )
    assert found.values == {"OUT": "1 11", "A": "1", "B": "11"}
    [request] = asked
    assert request.environment == {"HOME": "/home/ann", "PATH": "/bin", "A": "1", "B": "11"}
    assert "'it'\\''s main'" in request.text
    assert request.timeout == 30.0


def test_conditions_are_about_the_environment_and_what_is_around() -> None:
    def level(condition: str, **options: Any) -> str:
        chosen = made(
            "LEVEL", kind="condition", condition=Expr(condition), when_true="${A}!", when_false="debug"
        )
        return values(layer(chosen, text("A", "error")), **options)["LEVEL"]

    assert level("env.CI == 'true'") == "debug"
    assert level("env.CI == 'true'", base={"CI": "true"}) == "error!"
    assert level("A == 'error' && branch == 'main'", roots={"branch": "main"}) == "error!"
    assert level("NOPE") == "debug"


def test_secrets_lie_above_all_layers_and_come_from_the_process() -> None:
    token = EnvVar(name="TOKEN", values={"": EnvValue(kind="env", text="MY_TOKEN")}, secret=True)
    own, step = layer(text("TOKEN", "plain"), secrets=(token,)), layer(text("TOKEN", "step"))
    found = resolved(own, step, process={"MY_TOKEN": "s3cr3t"})
    assert found.values == {"TOKEN": "s3cr3t"}
    assert found.secrets == {"TOKEN"}
    assert code_of(own, process={}) == "secret-missing"
    assert code_of(own, process={"MY_TOKEN": ""}) == "secret-missing"


def test_files_lose_one_line_end() -> None:
    key = made("KEY", kind="file", text="~/key")
    assert values(layer(key), answers={"KEY": "a\nb\n\r\n"}) == {"KEY": "a\nb\n"}


def test_clock_and_chance_are_asked_unless_somebody_around_knows() -> None:
    asked: list[Request] = []
    stamp = layer(text("STAMP", "on ${date:%F}"), text("COPY", "${STAMP}!"), text("OURS", "${uuid}"))
    found = values(stamp, answers={"STAMP": "2026-11-23"}, asked=asked, roots={"uuid": "given"})
    assert found == {"STAMP": "on 2026-11-23", "COPY": "on 2026-11-23!", "OURS": "given"}
    assert [(request.name, request.kind, request.text) for request in asked] == [("STAMP", "date", "%F")]


def test_a_value_with_nul_is_refused() -> None:
    assert code_of(layer(made("A", kind="file", text="f")), answers={"A": "a\0b"}) == "bad-value"


def test_what_only_a_step_knows_waits_for_it() -> None:
    """The same declarations, resolved again over what is known, give the rest."""
    declared = layer(
        text("DIR", "/srv/${item.name}"),
        text("IN", "$DIR/in"),
        text("PATH", "$DIR:$PATH"),
        made("NOW", kind="command", text="date", cache=False),
        made("STILL", kind="command", text="date"),
    )
    first = resolved(declared, answers={"STILL": "1\n"}, later=lambda name: name == "item")
    assert first.values == {"STILL": "1"}
    assert {variable.name for variable in first.later} == {"DIR", "IN", "PATH", "NOW"}
    second = resolved(
        layer(*first.later), answers={"NOW": "2\n"}, roots={"item": {"name": "x"}}, base={"PATH": "/bin"}
    )
    assert second.values == {"DIR": "/srv/x", "IN": "/srv/x/in", "PATH": "/srv/x:/bin", "NOW": "2"}
    assert second.later == ()


def test_below_what_waits_the_lower_layer_stands() -> None:
    lower, upper = layer(text("A", "low")), layer(text("A", "$A-${item}"))
    found = resolved(lower, upper, later=lambda name: name == "item")
    assert found.values == {"A": "low"}
    assert [variable.values[""].text for variable in found.later] == ["$A-${item}"]


def test_a_secret_cannot_wait() -> None:
    secret = EnvVar(name="S", values={"": EnvValue(text="x-${item}")}, secret=True)
    assert code_of(layer(secret), later=lambda name: name == "item") == "secret-missing"


def test_secrets_alone_need_no_other_command() -> None:
    asked: list[Request] = []
    secret = EnvVar(name="S", values={"": EnvValue(kind="command", text="pass $USER_NAME")}, secret=True)
    others = made("SLOW", kind="command", text="sleep 9"), text("USER_NAME", "ann")
    found = resolved(layer(*others, secret), only_secrets=True, answers={"S": "hidden"}, asked=asked)
    assert found.values == {"S": "hidden"}
    assert [request.name for request in asked] == ["S"]


def test_the_base_set() -> None:
    environ = {"PATH": "/bin", "LC_ALL": "C", "AWS_KEY": "x", "TERM": "xterm"}
    assert essential(environ) == {"PATH": "/bin", "LC_ALL": "C", "TERM": "xterm"}


def test_profiles_are_known_by_declaration_or_by_a_value() -> None:
    tier = EnvVar(name="TIER", values={"": EnvValue(), "prod": EnvValue()})
    workflow = Workflow(
        name="w",
        mode="sequential",
        environment=layer(tier),
        profiles=(Profile(name="ci"),),
        active_profile="ci",
    )
    assert known_profiles(workflow) == ("ci", "prod")
    assert active_profile(workflow, None) == "ci"
    assert active_profile(workflow, "prod") == "prod"
    with pytest.raises(WorkflowError, match="profile-unknown") as caught:
        active_profile(workflow, "prd")
    assert caught.value.hint == "did you mean `prod`?"
