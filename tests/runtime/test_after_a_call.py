"""What calls say about a connection, and what becomes of a call that fails."""

import json

import pytest

from credentials.models import Connection, Health, State
from integrations.models import ActionRun, Milestone
from integrations.runtime import recovery
from integrations.sdk import Reconnect, TryLater
from navi.audit.models import AuditEvent
from tests.standins.todoist import KEY


def anew(connection):
    return Connection.objects.get(pk=connection.pk)


def test_handing_out_a_key_says_nothing_about_health(ada, acmes_todoist):
    Connection.objects.update(health=Health.DEGRADED, error_count=3)

    ada.get("/api/credentials/todoist/token")

    connection = anew(acmes_todoist)
    assert (connection.health, connection.error_count) == (Health.DEGRADED, 3)
    assert connection.last_used_at


def test_a_late_refusal_of_the_old_key_does_not_harm_the_new_one(acmes_todoist):
    seen_before = anew(acmes_todoist)
    Connection.objects.update(generation=7, state=State.ACTIVE, health=Health.HEALTHY)

    recovery.note_failure(seen_before, Reconnect("The old key is no longer accepted."))

    assert (anew(acmes_todoist).state, anew(acmes_todoist).health) == (State.ACTIVE, Health.HEALTHY)


def test_a_late_success_does_not_undo_that_a_person_is_needed(acmes_todoist):
    seen_before = anew(acmes_todoist)
    recovery.note_failure(anew(acmes_todoist), Reconnect("No longer accepted."))

    recovery.note_success(seen_before)

    assert anew(acmes_todoist).state == State.REAUTH_REQUIRED


def test_an_agents_odd_path_does_not_switch_the_connection_off(ada, acmes_todoist):
    ada.client.get("/api/proxy/todoist/a/%2e%2e/b")
    ada.get("/api/proxy/todoist/nothing-here")

    assert anew(acmes_todoist).is_usable
    assert anew(acmes_todoist).health != Health.FAILED


def test_a_401_through_the_proxy_is_confirmed_before_a_person_is_asked(ada, acmes_todoist, todoist):
    from navi.jobs.models import Job

    todoist.fail_next(401, {"error": "Unauthorized"})
    answer = ada.get("/api/proxy/todoist/projects")

    assert answer.status_code == 401
    assert anew(acmes_todoist).is_usable
    assert Job.objects.filter(kind="health", object_id=str(acmes_todoist.pk)).exists()


def test_a_refused_key_names_the_provider_and_the_way_to_reconnect(ada, acmes_todoist, todoist):
    todoist.accept_keys({"another"})

    error = ada.post("/api/actions/todoist.list_projects").json()["error"]

    assert (error["code"], error["provider"]) == ("reauth_required", "todoist")
    assert error["link"].endswith(f"/p/acme/integrations/todoist?reconnect={acmes_todoist.pk}")
    assert error["cli"] == "navi-integrations connect todoist"


def test_after_a_reconnect_the_same_idempotency_key_works(ada, acmes_todoist, todoist):
    todoist.accept_keys({"another"})
    refused = ada.post("/api/actions/todoist.create_task", {"content": "Milk"}, idempotency_key="k")
    todoist.accept_keys({KEY})
    Connection.objects.update(state=State.ACTIVE)

    again = ada.post("/api/actions/todoist.create_task", {"content": "Milk"}, idempotency_key="k")

    assert refused.status_code == 409
    assert again.status_code == 200


def test_a_sealed_house_claims_no_run(ada, acmes_todoist, settings, tmp_path):
    from navi.keyring import KeyFiles

    here = settings.NAVI_KEYS
    (tmp_path / "pepper").write_bytes((here.directory / "pepper").read_bytes())
    (tmp_path / "pepper").chmod(0o600)
    settings.NAVI_KEYS = KeyFiles(tmp_path)
    sealed = ada.post("/api/actions/todoist.create_task", {"content": "Milk"}, idempotency_key="k")
    saved = ada.post("/api/credentials/todoist", {"credentials": {"apiKey": KEY}})
    settings.NAVI_KEYS = here

    assert (sealed.status_code, saved.status_code) == (503, 503)
    assert not ActionRun.objects.exists()
    assert not Connection.objects.filter(state=State.PENDING).exists()
    again = ada.post("/api/actions/todoist.create_task", {"content": "Milk"}, idempotency_key="k")
    assert again.status_code == 200


def test_a_write_whose_answer_is_thrown_away_has_an_unknown_outcome(ada, acmes_todoist, todoist):
    todoist.fail_next(200, b"x" * (11 * 2**20), {"Content-Type": "application/json"})

    answer = ada.post("/api/actions/todoist.create_task", {"content": "Milk"}, idempotency_key="k")

    assert answer.json()["error"]["code"] == "outcome_unknown"
    assert ActionRun.objects.get().state == ActionRun.State.OUTCOME_UNKNOWN


def test_the_vendors_own_types_may_be_asked_for(ada, acmes_todoist):
    for wanted in ("application/vnd.github+json", "image/png", "text/html"):
        answer = ada.client.get("/api/proxy/todoist/projects", headers={"accept": wanted})
        assert answer.status_code == 200, wanted
        list(answer.streaming_content)


def test_half_a_character_from_a_vendor_is_no_failure_of_ours(ada, acmes_todoist, todoist):
    project = {"id": "1", "name": "\ud83d", "inbox_project": False, "is_favorite": False, "parent_id": None}
    body = json.dumps({"results": [project], "next_cursor": None}).encode()
    todoist.fail_next(200, body, {"Content-Type": "application/json"})

    assert ada.post("/api/actions/todoist.list_projects").status_code in {200, 502}


def test_a_health_check_that_finds_something_else_is_trouble(ada, acmes_todoist, todoist):
    todoist.fail_next(404, {"error": "Gone"}, times=3)

    told = ada.post("/api/integrations/todoist/health-check").json()

    assert told["status"] == "degraded"


def test_a_good_check_is_remembered_as_the_last_success(ada, acmes_todoist):
    told = ada.post("/api/integrations/todoist/health-check").json()

    assert told["lastSuccess"] == told["lastCheck"]


def test_an_illness_is_one_attempt_and_its_end_one_success(acmes_todoist):
    Milestone.objects.all().delete()
    Connection.objects.update(health=Health.HEALTHY)
    connection = anew(acmes_todoist)
    for _ in range(3):
        recovery.note_failure(connection, TryLater("Todoist does not answer."))
    recovery.note_success(connection)

    kinds = Milestone.objects.exclude(kind="first_use").values_list("kind", flat=True)
    assert sorted(kinds) == ["recovery_attempted", "recovery_succeeded"]


@pytest.mark.parametrize("way", ["token", "action", "proxy"])
def test_the_first_use_is_noted_once_however_it_happens(ada, acmes_todoist, way):
    for _ in range(2):
        if way == "token":
            ada.get("/api/credentials/todoist/token")
        elif way == "action":
            ada.post("/api/actions/todoist.list_projects")
        else:
            list(ada.get("/api/proxy/todoist/projects").streaming_content)

    assert Milestone.objects.filter(kind="first_use").count() == 1


def test_a_refused_hand_out_is_remembered_whatever_the_reason(ada, acme, connected):
    from integrations.models import CustomProvider

    crm = CustomProvider.objects.create(
        project=acme, slug="crm", name="CRM", base_url="https://crm.example.com"
    )
    connected("crm", acme, apiKey="a long enough key")
    crm.sent_as = "basic"
    crm.save()

    answer = ada.get("/api/credentials/crm/token")

    assert answer.status_code == 409
    assert AuditEvent.objects.filter(event="secret.released", outcome="refused").count() == 1


def test_preflight_does_not_vouch_for_another_services_action(ada, acmes_todoist):
    told = ada.post(
        "/api/preflight", {"needs": [{"provider": "todoist", "actions": ["linear.viewer"]}]}
    ).json()

    assert told["ok"] is False


def test_changing_a_custom_provider_keeps_how_its_key_is_sent(ada, acme):
    made = ada.post(
        "/api/providers/custom", {"name": "CRM", "baseUrl": "https://crm.example.com", "sentAs": "basic"}
    )
    changed = ada.put(
        f"/api/providers/custom/{made.json()['slug']}",
        {"name": "CRM 2", "baseUrl": "https://crm.example.com"},
    )

    assert changed.json()["sentAs"] == "basic"


def test_a_call_whose_process_died_ends_with_an_unknown_outcome(ada, acmes_todoist):
    from datetime import timedelta

    from integrations.runtime import tasks

    ada.post("/api/actions/todoist.create_task", {"content": "Milk"}, idempotency_key="k")
    run = ActionRun.objects.get()
    ActionRun.objects.update(
        state="running", finished_at=None, started_at=run.started_at - timedelta(hours=1)
    )

    tasks.end_cut_off()

    assert ada.get(f"/api/actions/runs/{run.pk}").json()["state"] == "outcome_unknown"
