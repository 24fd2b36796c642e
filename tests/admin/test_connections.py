import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from credentials.models import Connection, ConnectRequest, Secret
from integrations.models import HealthCheck, IntegrationStatus
from navi.jobs.models import Job
from tests.standins.todoist import KEY

MODEL = "credentials_connection"


def test_the_list_tells_health_by_shape_and_word(admin, account, acme, bob):
    account("todoist", project=acme, health="degraded")
    account("linear", user=bob, enabled=False, label="bob@example.org")

    page = admin.list_of(MODEL).text

    assert '#status-degraded"/></svg>Degraded</span>' in page
    assert '#status-disabled"/></svg>Off</span>' in page
    assert "Bob, everywhere" in page
    assert "Acme" in page


@pytest.mark.parametrize("words", ["alice@example.org", "4711", "Acme", "acme", "todoist"])
def test_a_connection_is_found_by_account_project_and_provider(admin, account, acme, bob, words):
    account("todoist", project=acme, account_id="4711")
    account("linear", user=bob, label="somebody else")

    answer = admin.list_of(MODEL, q=words)

    assert [row.provider for row in answer.context["cl"].result_list] == ["todoist"]


def test_a_persons_connection_is_found_by_the_person(admin, account, bob):
    account("linear", user=bob)

    assert len(admin.list_of(MODEL, q="bob@example.org").context["cl"].result_list) == 1


@pytest.mark.parametrize(("scope", "provider"), [("project", "todoist"), ("global", "linear")])
def test_connections_are_filtered_by_scope(admin, account, acme, bob, scope, provider):
    account("todoist", project=acme)
    account("linear", user=bob)

    answer = admin.list_of(MODEL, scope=scope)

    assert [row.provider for row in answer.context["cl"].result_list] == [provider]


def test_the_list_takes_as_many_queries_for_three_as_for_thirty(
    admin, account, acme, bob, django_assert_max_num_queries
):
    for number in range(30):
        account("todoist", label=f"a{number}", **({"project": acme} if number % 2 else {"user": bob}))

    with django_assert_max_num_queries(6):
        admin.list_of(MODEL)


def test_disabling_in_the_form_is_remembered(admin, account, acme, remembered):
    connection = account("todoist", project=acme)

    admin.change(MODEL, connection)

    connection.refresh_from_db()
    event = remembered("connection.disabled")
    assert not connection.enabled
    assert (event.actor_kind, event.actor_label, event.project_slug) == ("operator", "Olga", "acme")


def test_the_form_changes_nothing_but_the_two_switches(admin, account, acme):
    connection = account("todoist", project=acme)

    admin.change(
        MODEL, connection, enabled="on", label="Eve", provider="linear", health="failed", state="revoked"
    )

    after = Connection.objects.get(pk=connection.pk)
    assert (after.label, after.provider, after.health, after.state) == (
        "alice@example.org", "todoist", "healthy", "active",
    )  # fmt: skip


def test_another_account_becomes_the_default(admin, account, acme, remembered):
    first = account("todoist", project=acme, is_default=True)
    second = account("todoist", project=acme, label="team@example.org")

    admin.change(MODEL, second, enabled="on", is_default="on")

    first.refresh_from_db()
    assert not first.is_default
    assert Connection.objects.get(is_default=True) == second
    assert remembered("connection.default_changed").connection_label == "team@example.org"
    assert IntegrationStatus.objects.get().project == acme


def test_the_default_is_moved_and_never_taken_away(admin, account, acme):
    connection = account("todoist", project=acme, is_default=True)

    admin.change(MODEL, connection, enabled="on")

    connection.refresh_from_db()
    assert connection.is_default


def test_connections_are_neither_added_nor_deleted_here(admin, account, acme):
    connection = account("todoist", project=acme)

    assert admin.get(reverse(f"admin:{MODEL}_add")).status_code == 403
    assert admin.open(MODEL, connection, "delete").status_code == 403
    assert "delete_selected" not in admin.list_of(MODEL).text


# --- actions


def test_checking_one_asks_the_vendor_now(admin, acmes_todoist, remembered):
    answer = admin.act(MODEL, "check_now", acmes_todoist)

    assert "works, answered in" in answer.text
    check = HealthCheck.objects.get(connection=acmes_todoist)
    assert (check.status, check.asked_by) == ("healthy", "person")
    assert remembered("connection.tested").actor_kind == "operator"


def test_checking_a_key_that_was_revoked_says_what_the_vendor_said(admin, account, acme, todoist, remembered):
    connection = account("todoist", project=acme, apiKey="f" * 40)

    answer = admin.act(MODEL, "check_now", connection)

    connection.refresh_from_db()
    assert "does not accept this API token" in answer.text
    assert connection.state == "reauth_required"
    assert remembered("connection.tested").outcome == "failed"


def test_checking_an_account_whose_plugin_is_gone_says_so(admin, account, acme):
    answer = admin.act(MODEL, "check_now", account("gone", project=acme))

    assert "There is no provider called" in answer.text


def test_checking_many_is_left_to_the_worker(admin, account, acme):
    rows = [account("todoist", project=acme, label=f"a{number}") for number in range(5)]
    rows.append(account("todoist", project=acme, label="ill", state="reauth_required"))

    answer = admin.act(MODEL, "check_now", *rows)

    assert Job.objects.filter(kind="health").count() == 5
    assert "5 will be checked by the worker now." in answer.text
    assert "1 left out" in answer.text


def test_several_are_switched_off_and_on_again(admin, account, acme, bob, remembered):
    rows = [account("todoist", project=acme), account("linear", user=bob, label="")]

    off = admin.act(MODEL, "disable", *rows)
    on = admin.act(MODEL, "enable", rows[0])

    assert "2 switched off." in off.text
    assert "1 switched on." in on.text
    assert list(Connection.objects.order_by("provider").values_list("enabled", flat=True)) == [False, True]
    assert remembered("connection.enabled").actor_label == "Olga"


def test_revoking_asks_first(admin, account, acme):
    connection = account("todoist", project=acme, apiKey=KEY)

    answer = admin.act(MODEL, "revoke", connection)

    assert "Revoke connections?" in answer.text
    assert "alice@example.org" in answer.text
    assert Connection.objects.filter(pk=connection.pk).exists()


def test_revoking_removes_the_connection_and_its_secrets(admin, account, acme, remembered):
    connection = account("todoist", project=acme, apiKey=KEY)
    stays = account("linear", project=acme)

    answer = admin.act(MODEL, "revoke", connection, confirmed="yes")

    assert "1 revoked" in answer.text
    assert list(Connection.objects.all()) == [stays]
    assert not Secret.objects.exists()
    event = remembered("connection.disconnected")
    assert (event.actor_label, event.provider, event.project_slug) == ("Olga", "todoist", "acme")


def test_staff_who_may_only_look_are_offered_no_action(browser_of, steve, account, acme):
    connection = account("todoist", project=acme)
    steves = browser_of(steve)

    listed, shown = steves.list_of(MODEL), steves.open(MODEL, connection)
    steves.act(MODEL, "revoke", connection, confirmed="yes")

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert 'name="action"' not in listed.text
    assert 'name="_save"' not in shown.text
    assert Connection.objects.filter(pk=connection.pk).exists()


def test_staff_open_no_other_list(browser_of, steve):
    assert browser_of(steve).list_of("integrations_provider").status_code == 403
    assert browser_of(steve).list_of("audit_auditevent").status_code == 403


@pytest.mark.parametrize(
    "page", ["/admin/credentials/connection/", "/admin/integrations/provider/", "/admin/jobs/job/"]
)
def test_bob_is_refused(browser_of, bob, page):
    assert browser_of(bob).get(page).status_code == 403


@pytest.mark.only_on("sqlite")  # PostgreSQL takes no label that is too long
def test_a_refusal_of_the_domain_is_told_on_the_page(admin, account, acme):
    connection = account("todoist", project=acme, label="x" * 160)
    Connection.objects.filter(pk=connection.pk).update(label="x" * 161)

    answer = admin.act(MODEL, "disable", connection)

    assert "at most 160 characters" in answer.text


def test_changes_are_in_the_pages_history_too(admin, account, acme, olga):
    admin.change(MODEL, account("todoist", project=acme))

    assert LogEntry.objects.get().user == olga


# --- what agents ask for


@pytest.fixture
def request_of_ada(acme):
    return ConnectRequest.objects.create(
        provider="linear", project=acme, asked_by="Ada, agent of Alice", token_public_id="abcdefghijkl",
        user_code="WDJB-MJHT", expires_at=timezone.now(),
    )  # fmt: skip


def test_a_connect_request_is_read_without_its_code(admin, request_of_ada):
    model = "credentials_connectrequest"
    pages = [
        admin.list_of(model),
        admin.list_of(model, q="Ada"),
        admin.open(model, request_of_ada),
        admin.open(model, request_of_ada, "history"),
    ]

    assert {page.status_code for page in pages} == {200}
    assert "Ada, agent of Alice" in pages[0].text
    assert not [page for page in pages if "WDJB" in page.text]


def test_nobody_finds_a_request_by_its_code(admin, request_of_ada):
    answer = admin.list_of("credentials_connectrequest", q="WDJB")

    assert not answer.context["cl"].result_list


def test_a_connect_request_is_not_changed(admin, request_of_ada):
    admin.change("credentials_connectrequest", request_of_ada, state="done")

    request_of_ada.refresh_from_db()
    assert request_of_ada.state == "pending"
