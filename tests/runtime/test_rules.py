"""What a project's rules say to its agents, and that there is no way around them."""

import pytest

from integrations.models import ActionRule
from integrations.ruling import ruling
from integrations.runtime import rules
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.projects import tokens
from navi.projects.models import AgentToken
from navi.projects.rights import actor_for

CREATE = "/api/actions/todoist.create_task"
LIST = "/api/actions/todoist.list_projects"
MILK = {"content": "Buy milk"}


@pytest.fixture
def adas_row(adas_token):
    return AgentToken.objects.get(name="Ada")


@pytest.fixture
def rule(acme):
    """`rule("deny", plugin="todoist")`"""

    def make(effect, **facts):
        return ActionRule.objects.create(project=acme, effect=effect, **facts)

    return make


def effect_for(acme, token=None, plugin="todoist", action="create_task"):
    token_id = token.public_id if token else None
    return ruling(acme.pk, plugin=plugin, action=action, token_id=token_id).effect


# --- which one decides


def test_without_rules_everything_is_allowed(acme, adas_row):
    assert effect_for(acme, adas_row) == "allow"


def test_the_most_specific_rule_decides(acme, rule, adas_row):
    rule("deny")
    assert effect_for(acme, adas_row) == "deny"
    rule("ask", plugin="todoist")
    assert effect_for(acme, adas_row) == "ask"
    rule("allow", plugin="todoist", action="create_task")
    assert effect_for(acme, adas_row) == "allow"
    rule("deny", token=adas_row)
    assert effect_for(acme, adas_row) == "deny"
    rule("ask", plugin="todoist", token=adas_row)
    assert effect_for(acme, adas_row) == "ask"
    rule("allow", plugin="todoist", action="create_task", token=adas_row)
    assert effect_for(acme, adas_row) == "allow"
    assert effect_for(acme, adas_row, action="delete_task") == "ask"
    assert effect_for(acme, adas_row, plugin="linear") == "deny"
    assert effect_for(acme) == "allow"


def test_rules_of_another_project_say_nothing_here(acme, elsewhere, adas_row):
    ActionRule.objects.create(project=elsewhere, effect="deny")

    assert effect_for(acme, adas_row) == "allow"


def test_a_rule_for_a_token_holds_for_what_it_is_rotated_to(acme, alice, rule, adas_row):
    rule("deny", plugin="todoist", token=adas_row)
    fresh, _ = tokens.rotate(adas_row, actor=actor_for(alice, acme))
    again, _ = tokens.rotate(fresh, actor=actor_for(alice, acme))

    assert effect_for(acme, fresh) == effect_for(acme, again) == "deny"


def test_of_two_equally_specific_rules_the_stricter_decides(acme, alice, rule, adas_row):
    fresh, _ = tokens.rotate(adas_row, actor=actor_for(alice, acme))
    rule("allow", plugin="todoist", token=adas_row)
    rule("deny", plugin="todoist", token=fresh)

    assert effect_for(acme, adas_row) == effect_for(acme, fresh) == "deny"


def test_a_ruling_takes_one_query(acme, rule, adas_row, django_assert_num_queries):
    rule("ask", plugin="todoist")
    with django_assert_num_queries(1):
        effect_for(acme, adas_row)


# --- where it holds


def test_what_is_denied_does_not_happen_and_the_rule_is_named(ada, acmes_todoist, todoist, rule, error_of):
    rule("deny", plugin="todoist", action="create_task", note="Bob plans the week")
    answer = ada.post(CREATE, MILK)

    found = error_of(answer)
    assert (answer.status_code, found["code"]) == (403, "approval_denied")
    assert "deny todoist.create_task" in found["message"]
    assert "Bob plans the week" in found["message"]
    assert found["link"].endswith("/p/acme/approvals")
    assert todoist.requests == []
    assert AuditEvent.objects.get(event="action.run").outcome == "refused"
    assert ada.post(LIST).status_code == 200


@pytest.mark.parametrize("effect", ["ask", "deny"])
@pytest.mark.parametrize(
    "facts", [{}, {"plugin": "todoist"}, {"plugin": "todoist", "action": "create_task"}],
    ids=["everything", "the plugin", "one action"],
)  # fmt: skip
def test_a_watched_provider_hands_out_no_secret_and_has_no_proxy(
    ada, acmes_todoist, todoist, rule, error_of, effect, facts
):
    rule(effect, **facts)
    token, proxied = ada.get("/api/credentials/todoist/token"), ada.get("/api/proxy/todoist/user")

    for answer in (token, proxied):
        assert (answer.status_code, error_of(answer)["code"]) == (403, "blocked")
        assert f"{effect}" in error_of(answer)["message"]
        assert "GET /api/actions" in error_of(answer)["message"]
    assert todoist.requests == []
    assert AuditEvent.objects.filter(outcome="refused", code="blocked").count() == 2


def test_rules_about_another_plugin_or_token_leave_the_secret_alone(ada, ben, acmes_todoist, rule):
    rule("deny", plugin="linear")
    rule("ask", plugin="todoist", token=AgentToken.objects.get(name="Ben"))

    assert ada.get("/api/credentials/todoist/token").status_code == 200
    assert ben.get("/api/credentials/todoist/token").status_code == 403


def test_a_token_that_is_allowed_all_that_is_watched_has_the_secret_too(ada, acmes_todoist, rule, adas_row):
    rule("ask", plugin="todoist")
    rule("allow", plugin="todoist", token=adas_row)

    assert ada.get("/api/credentials/todoist/token").status_code == 200
    assert ada.get("/api/proxy/todoist/user").status_code == 200


def test_to_look_around_is_refused_where_the_whole_plugin_is_watched(ada, acmes_todoist, rule, error_of):
    rule("ask", plugin="todoist")

    assert error_of(ada.get("/api/plugins/todoist/discover/projects"))["code"] == "approval_denied"


def test_a_person_in_the_hub_decides_for_themselves(alice, acme, acmes_todoist, rule):
    from integrations.runtime import execute
    from integrations.sdk import Call

    rule("deny")

    assert execute.run(Call(actor_for(alice, acme), acme, "todoist", "list_projects")).value


# --- where agents see them


def test_the_catalogue_says_what_holds_for_this_token(ada, ben, acme, rule, adas_row):
    rule("ask", plugin="todoist")
    rule("deny", plugin="todoist", action="create_task", token=adas_row)

    def policies(agent):
        return {one["id"]: one["policy"] for one in agent.get("/api/actions").json()["actions"]}

    assert policies(ada)["todoist.create_task"] == "deny"
    assert policies(ben)["todoist.create_task"] == policies(ada)["todoist.list_projects"] == "ask"
    assert policies(ada)["linear.list_issues"] == "allow"
    assert ada.get(CREATE).json()["policy"] == "deny"


def test_preflight_tells_what_is_denied_and_what_is_asked(ada, acmes_todoist, rule):
    rule("ask", plugin="todoist")
    rule("deny", plugin="todoist", action="create_task")
    wanted = {"provider": "todoist", "actions": ["todoist.create_task", "todoist.list_projects"]}
    found = ada.post("/api/preflight", {"needs": [wanted], "for": 60}).json()

    problems = found["needs"][0]["problems"]
    assert [one["code"] for one in problems] == ["approval_denied", "approval_required"]
    assert problems[1]["action"] == "approve"
    assert problems[1]["link"].endswith("/p/acme/approvals")


# --- making them


def test_adam_makes_changes_and_removes_a_rule(acme, adam, adas_row):
    admin = actor_for(adam, acme)
    made = rules.create(acme, admin, effect="ask", plugin="todoist", action="create_task", token=adas_row)
    rules.change(made, admin, effect="deny", note="Not now")
    rules.delete(made, admin)

    events = AuditEvent.objects.filter(event__startswith="rule.").order_by("at")
    assert [event.event for event in events] == ["rule.created", "rule.updated", "rule.deleted"]
    assert events[1].detail["was"] == "ask"
    assert not ActionRule.objects.exists()


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"effect": "maybe"}, "invalid_input"),
        ({"effect": "ask", "plugin": "nobody"}, "invalid_input"),
        ({"effect": "ask", "plugin": "todoist", "action": "fly"}, "invalid_input"),
        ({"effect": "ask", "action": "create_task"}, "invalid_input"),
    ],
)  # fmt: skip
def test_a_rule_that_would_protect_nothing_is_refused(acme, adam, facts, code):
    with pytest.raises(Problem) as told:
        rules.create(acme, actor_for(adam, acme), **facts)
    assert told.value.code == code


def test_one_rule_for_one_thing(acme, adam):
    rules.create(acme, actor_for(adam, acme), effect="ask", plugin="todoist")
    with pytest.raises(Problem) as told:
        rules.create(acme, actor_for(adam, acme), effect="deny", plugin="todoist")
    assert told.value.code == "conflict"


def test_bob_makes_no_rules(acme, bob):
    with pytest.raises(Problem) as told:
        rules.create(acme, actor_for(bob, acme), effect="allow")
    assert told.value.code == "out_of_scope"
