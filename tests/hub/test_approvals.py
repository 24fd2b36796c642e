"""The Approvals page: what waits, what was decided, and the rules behind it."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import ActionRule, ActionRun, Approval
from navi.audit.models import AuditEvent
from navi.projects.models import AgentToken
from tests.hub.browsers import HTMX, browser_of, few_queries, text_of

ADD = "/api/actions/todoist.quick_add_task"
PAGE = "/p/acme/approvals"


@pytest.fixture(autouse=True)
def rule(acme):
    return ActionRule.objects.create(
        project=acme, plugin="todoist", action="quick_add_task", effect="ask", note="Bob plans the week"
    )


@pytest.fixture
def ask(acmes_todoist):
    """`ask(ada, "Buy milk")`: the approval that waits."""

    def make(agent, text, **more):
        answer = agent.post(ADD, {"text": text, **more})
        assert answer.status_code == 202, answer.content
        return Approval.objects.get(run=answer.json()["runId"])

    return make


@pytest.fixture
def milk(ada, ask):
    return ask(ada, "Buy milk")


@pytest.fixture
def bea(api, token_of, bob, acme):
    """Bob's agent."""
    return api(token_of(bob, acme, "read", "write", name="Bea"))


def url(approval, does):
    return f"{PAGE}/{approval.pk}/{does}"


def run_of(approval):
    return ActionRun.objects.get(approval=approval)


# --- looking


def test_alice_sees_exactly_what_waits(alice, milk):
    page = text_of(browser_of(alice).get(PAGE))

    for words in ("Buy milk", "todoist.quick_add_task", "Ada, the token of Alice", "alice@example.org",
                  "Bob plans the week", "Approve once", "Deny", "Always allow this action"):  # fmt: skip
        assert words in page
    assert f'id="run-{milk.run_id}"' in page


def test_nothing_waits(alice, acme):
    assert "Nothing waits for you" in text_of(browser_of(alice).get(PAGE))


def test_long_and_nested_arguments_are_readable_and_nothing_hides_in_them(alice, ada, ask):
    ask(ada, "pay\u202e 001", note="A first line\nand <script>alert(1)</script>\n" + "x" * 500)
    page = text_of(browser_of(alice).get(PAGE))

    assert "pay\\u202e 001" in page
    assert "\u202e" not in page
    assert "<script>alert" not in page
    assert "x" * 500 in page
    assert "<summary><span>A first line …" in page


def test_bob_sees_the_calls_of_his_own_agents_only(bob, bea, ask, milk):
    ask(bea, "Bob's tea")
    page = text_of(browser_of(bob).get(PAGE))

    assert "Bob&#x27;s tea" in page
    assert "Buy milk" not in page
    assert "Always allow" not in page
    assert "rules-title" not in page


def test_the_navigation_counts_what_waits_for_this_person(alice, bob, vera, ada, bea, ask, milk):
    ask(bea, "Bob's tea")

    def count(person):
        page = text_of(browser_of(person).get("/p/acme/integrations"))
        found = re.search(r'href="/p/acme/approvals"[^>]*>Approvals(?: <span[^>]*>(\d+))?', page)
        return found and found[1]

    assert [count(person) for person in (alice, bob, vera)] == ["2", "1", None]


def test_the_page_asks_few_questions(alice, ada, ask):
    for number in range(5):
        ask(ada, f"Task {number}")
    browser = browser_of(alice)
    with few_queries(12):
        browser.get(PAGE)


# --- deciding


def test_alice_approves_once(alice, milk, todoist):
    answer = browser_of(alice).post(url(milk, "grant"), {"note": "Go on"}, headers=HTMX)

    assert answer.status_code == 200
    assert "Approved, being done" in text_of(answer)
    assert "happens once" in answer["HX-Trigger"]
    assert run_of(milk).state == "approved"
    assert AuditEvent.objects.get(event="approval.granted").detail["note"] == "Go on"


def test_without_script_it_is_a_plain_form(alice, milk):
    answer = browser_of(alice).post(url(milk, "deny"), {"note": "We have milk"}, follow=True)

    assert answer.redirect_chain == [(PAGE, 303)]
    assert "Denied. The agent is told." in text_of(answer)
    assert "“We have milk”" in text_of(answer)
    assert run_of(milk).state == "denied"


def test_always_allow_makes_a_rule_for_this_action_and_token(alice, ada, milk):
    browser_of(alice).post(url(milk, "always"))

    made = ActionRule.objects.get(effect="allow")
    assert (made.plugin, made.action, str(made.token and made.token.name)) == (
        "todoist",
        "quick_add_task",
        "Ada",
    )
    assert run_of(milk).state == "approved"
    assert ada.post(ADD, {"text": "More milk"}).status_code == 200


def test_bob_decides_about_his_own_agents_calls_and_no_others(bob, bea, ask, milk):
    tea = ask(bea, "Bob's tea")
    browser = browser_of(bob)

    assert browser.post(url(milk, "grant")).status_code == 404
    assert browser.post(url(tea, "always")).status_code == 403
    assert browser.post(url(tea, "grant")).status_code == 303
    assert (run_of(milk).state, run_of(tea).state) == ("awaiting_approval", "approved")


def test_what_was_decided_meanwhile_is_said(alice, adam, milk):
    browser_of(adam).post(url(milk, "deny"))
    answer = browser_of(alice).post(url(milk, "grant"), headers=HTMX)

    assert answer.status_code == 409
    assert "decided about this call already" in json.loads(answer["HX-Trigger"])["toast"]["message"]


def test_decided_ones_stay_thirty_days(alice, ada, ask):
    old, young = ask(ada, "Old milk"), ask(ada, "Young milk")
    for one in (old, young):
        browser_of(alice).post(url(one, "deny"), {"note": f"No {one.run_id}"})
    Approval.objects.filter(pk=old.pk).update(asked_at=timezone.now() - timedelta(days=31))
    page = text_of(browser_of(alice).get(PAGE))

    assert f"No {young.run_id}" in page
    assert f"No {old.run_id}" not in page
    assert "Old milk" not in page  # what was not sent is not kept


def test_decided_ones_come_in_pages(alice, ada, ask, monkeypatch):
    monkeypatch.setattr("navi.hub.approving.PAGE", 1)
    for number in range(2):
        browser_of(alice).post(url(ask(ada, f"Task {number}"), "deny"))
    browser = browser_of(alice)

    assert "?page=2#decided" in text_of(browser.get(PAGE))
    assert "?page=1#decided" in text_of(browser.get(PAGE + "?page=2"))
    assert browser.get(PAGE + "?page=" + "9" * 5000).status_code == 200


# --- while the page is open


def poll(person, *known):
    return browser_of(person).get(
        PAGE + "/waiting", {"known": [str(one.run_id) for one in known]}, headers=HTMX
    )


def test_nothing_new_changes_nothing(alice, milk):
    assert poll(alice, milk).status_code == 204


def test_only_what_came_or_went_is_touched(alice, ada, ask, milk):
    tea, wine = ask(ada, "Buy tea"), ask(ada, "Buy wine")
    browser_of(alice).post(url(milk, "deny"))
    page = text_of(poll(alice, milk, tea))

    assert f'<li id="run-{milk.run_id}" hx-swap-oob="delete">' in page
    assert f'id="run-{wine.run_id}"' in page
    assert f"run-{tea.run_id}" not in page


def test_the_first_and_the_last_exchange_the_whole_list(alice, milk):
    assert 'hx-swap-oob="true"' in text_of(poll(alice))
    browser_of(alice).post(url(milk, "deny"))
    assert "Nothing waits for you" in text_of(poll(alice, milk))


def test_ids_that_are_none_are_not_repeated(alice, milk):
    answer = browser_of(alice).get(
        PAGE + "/waiting", {"known": ['"><script>', str(milk.run_id)]}, headers=HTMX
    )

    assert "<script>" not in text_of(answer)


# --- rules


def test_adam_adds_changes_and_removes_a_rule(adam, acme, adas_token):
    browser, token = browser_of(adam), AgentToken.objects.get(name="Ada")
    form = text_of(browser.get(PAGE + "/rules/new"))
    assert "Todoist: " in form and "Every token" in form

    added = browser.post(PAGE + "/rules/new", {"thing": "linear.create_issue", "token": str(token.pk),
                                               "effect": "deny", "note": "Not yet"})  # fmt: skip
    assert added.status_code == 303
    made = ActionRule.objects.get(plugin="linear")
    assert (made.action, made.token, made.effect, made.created_by) == ("create_issue", token, "deny", "Adam")
    page = text_of(browser.get(PAGE))
    rules = page[page.index("What agents may do by themselves") :]
    assert rules.index("Linear: ") < rules.index("Todoist: ")

    browser.post(f"{PAGE}/rules/{made.pk}", {"effect": "ask", "note": ""})
    made.refresh_from_db()
    assert made.effect == "ask"
    assert "Remove the rule" in text_of(browser.get(f"{PAGE}/rules/{made.pk}/delete", headers=HTMX))
    browser.post(f"{PAGE}/rules/{made.pk}/delete")
    assert not ActionRule.objects.filter(pk=made.pk).exists()


def test_a_second_rule_for_the_same_is_refused_in_words(alice, rule):
    answer = browser_of(alice).post(
        PAGE + "/rules/new", {"thing": "todoist.quick_add_task", "token": "", "effect": "deny", "note": ""}
    )

    assert answer.status_code == 422
    assert "There is a rule for this already" in text_of(answer)


@pytest.mark.parametrize("thing", ["nobody", "todoist.fly", ".create_task", "x" * 30_000])
def test_a_rule_about_nothing_is_refused(alice, acme, thing):
    answer = browser_of(alice).post(PAGE + "/rules/new", {"thing": thing, "token": "", "effect": "deny"})

    assert answer.status_code == 422
    assert ActionRule.objects.count() == 1


def test_members_neither_see_nor_make_rules(bob, rule):
    browser = browser_of(bob)

    assert browser.get(PAGE + "/rules/new").status_code == 403
    assert browser.post(f"{PAGE}/rules/{rule.pk}/delete").status_code == 403
