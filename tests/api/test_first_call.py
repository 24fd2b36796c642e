from credentials.models import Connection, Secret
from integrations.models import ActionRun
from navi.audit.models import AuditEvent
from tests.standins.todoist import KEY


def test_ada_connects_todoist_and_runs_an_action(ada, todoist):
    saved = ada.post("/api/credentials/todoist", {"credentials": {"apiKey": KEY}})
    listed = ada.post("/api/actions/todoist.list_projects")

    assert saved.status_code == 201
    assert saved.json()["label"] == "alice@example.org"
    assert listed.json()["result"]["projects"][0]["name"] == "Inbox"
    assert set(AuditEvent.objects.values_list("event", flat=True)) >= {"connection.connected", "action.run"}


def test_a_wrong_key_is_told_in_the_vendors_words_and_nothing_is_stored(ada, todoist):
    answer = ada.post("/api/credentials/todoist", {"credentials": {"apiKey": "0" * 40}})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, "invalid_credentials", "apiKey")
    assert "Unauthorized" in error["message"]
    assert not Connection.objects.exists()
    assert not Secret.objects.exists()


def test_a_slack_token_is_recognised_as_such(ada, todoist):
    answer = ada.post("/api/credentials/todoist", {"credentials": {"apiKey": "xoxb-1234-abcd"}})

    assert "looks like a Slack bot token" in answer.json()["error"]["message"]
    assert todoist.requests == []


def test_a_released_token_was_written_down_before(ada, acmes_todoist):
    answer = ada.get("/api/credentials/todoist/token", purpose="nightly report")

    assert answer.json()["authorization"] == f"Bearer {KEY}"
    assert answer.headers["Cache-Control"] == "no-store"
    event = AuditEvent.objects.get(event="secret.released")
    assert (event.connection_id, event.detail) == (acmes_todoist.pk, {"purpose": "nightly report"})


def test_a_token_read_takes_three_statements(ada, acmes_todoist, django_assert_num_queries):
    ada.get("/api/credentials/todoist/token")

    with django_assert_num_queries(3):
        ada.get("/api/credentials/todoist/token")


def test_the_same_key_twice_is_one_task(ada, acmes_todoist, todoist):
    before = len(todoist.tasks)
    first = ada.post("/api/actions/todoist.create_task", {"content": "Buy milk"}, idempotency_key="k1")
    again = ada.post("/api/actions/todoist.create_task", {"content": "Buy milk"}, idempotency_key="k1")
    other = ada.post("/api/actions/todoist.create_task", {"content": "Buy tea"}, idempotency_key="k1")

    assert first.json() == again.json()
    assert len(todoist.tasks) == before + 1
    assert other.status_code == 422
    assert ActionRun.objects.count() == 1
