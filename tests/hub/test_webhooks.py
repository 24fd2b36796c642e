"""Where vendors call and what they said, as people see it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import CustomProvider, Delivery, WebhookEndpoint
from navi.audit.models import AuditEvent
from tests.hub.browsers import browser_of

PAGE = "/p/acme/webhooks"
FRAGMENT = {"HX-Request": "true", "HX-Target": "modal"}


@pytest.fixture
def endpoint(acme, acmes_todoist):
    return WebhookEndpoint.objects.create(
        project=acme, provider="todoist", plugin="todoist", connection=acmes_todoist, state="active",
        secrets={"live": [{"value": "s3cret-of-the-endpoint", "until": None}]},
    )  # fmt: skip


@pytest.fixture
def delivered(endpoint, acme):
    def make(name="d1", *, state="processed", text='{"event": "item:added"}', ago=0, **more):
        body = None if text is None else {"text": text, "headers": {"User-Agent": "Todoist"}}
        return Delivery.objects.create(
            endpoint=endpoint, seal_owner=acme.pk, vendor_id=name, event_type="item:added", state=state, body=body,
            received_at=timezone.now() - timedelta(minutes=ago), **more,
        )  # fmt: skip

    return make


@pytest.fixture
def intranet(acme):
    return CustomProvider.objects.create(
        project=acme, slug="intranet", name="Intranet", base_url="https://intranet.example"
    )


def rows(page):
    return [one["id"].removeprefix("row-") for one in page.context["deliveries"]["rows"]]


# --- the page


def test_the_first_time_the_page_says_what_it_is_for(adam, acme):
    page = browser_of(adam).get(PAGE)

    assert "No webhook yet" in page.text and "Nothing has come yet" in page.text


def test_a_stranger_meets_nothing(charlie, acme, endpoint, delivered):
    row = delivered()

    for path in (PAGE, f"{PAGE}/deliveries/{row.pk}", f"{PAGE}/{endpoint.pk}/rotate"):
        assert browser_of(charlie).get(path).status_code == 404


def test_a_viewer_sees_that_something_came_and_not_what(vera, adam, endpoint, delivered):
    row = delivered(text='{"words": "between us"}')

    page, opened = browser_of(vera).get(PAGE), browser_of(vera).get(f"{PAGE}/deliveries/{row.pk}")

    assert rows(page) == [str(row.pk)] and endpoint.key not in page.text
    assert "between us" not in opened.text
    assert "between us" in browser_of(adam).get(f"{PAGE}/deliveries/{row.pk}").text


def test_the_page_takes_a_fixed_number_of_queries(adam, delivered, django_assert_max_num_queries):
    browser = browser_of(adam)
    for number in range(30):
        delivered(str(number), ago=number)

    with django_assert_max_num_queries(12):
        browser.get(PAGE)


def test_older_ones_follow_page_by_page_without_a_gap(adam, delivered):
    made = [str(delivered(str(number), ago=number).pk) for number in range(60)]

    first = browser_of(adam).get(PAGE)
    second = browser_of(adam).get(first.context["deliveries"]["older_url"])

    assert rows(first) + rows(second) == made
    assert second.context["deliveries"]["poll_url"] == "" and first.context["deliveries"]["poll_url"]


@pytest.mark.parametrize("cursor", ["nonsense", "bm9uZQ==", "%00", "9" * 500])
def test_a_place_that_is_none_is_told(adam, delivered, cursor):
    assert browser_of(adam).get(f"{PAGE}?before={cursor}").status_code in {303, 400}


def test_filters_leave_what_fits(adam, delivered):
    done, dead = delivered("a"), delivered("b", state="dead", last_error="The plugin has a fault.")

    assert rows(browser_of(adam).get(f"{PAGE}?state=dead")) == [str(dead.pk)]
    assert rows(browser_of(adam).get(f"{PAGE}?type=item&endpoint={done.endpoint_id}&state=processed")) == [
        str(done.pk)
    ]
    assert rows(browser_of(adam).get(f"{PAGE}?endpoint=nobody&state=odd")) == [str(dead.pk), str(done.pk)]


# --- one delivery


def test_secrets_in_the_content_are_masked(adam, delivered):
    row = delivered(text='{"access_token": "tok_1234567890abcdef", "note": "plain"}')

    text = browser_of(adam).get(f"{PAGE}/deliveries/{row.pk}").text

    assert "plain" in text and "tok_1234567890abcdef" not in text


def test_content_is_text_and_no_page(adam, delivered):
    row = delivered(text='{"a": "<script>alert(1)</script>"}')

    assert "<script>alert" not in browser_of(adam).get(f"{PAGE}/deliveries/{row.pk}").text


@pytest.mark.parametrize("text", ["not json \x00 at all", "[" * 100_000, "", "x" * 200_000])
def test_odd_content_is_shown_all_the_same(adam, delivered, text):
    row = delivered(text=text)

    assert browser_of(adam).get(f"{PAGE}/deliveries/{row.pk}").status_code == 200


def test_processing_again_is_one_press(adam, delivered):
    row = delivered(state="dead", last_error="The plugin has a fault.")

    answer = browser_of(adam).post(f"{PAGE}/deliveries/{row.pk}/replay")

    row.refresh_from_db()
    assert (answer.status_code, row.state, row.replays) == (303, "received", 1)
    assert AuditEvent.objects.get(event="delivery.replayed").actor_label == "Adam"


def test_all_that_was_given_up_is_processed_again_but_what_has_no_content(adam, delivered):
    delivered("a", state="dead"), delivered("b", state="dead"), delivered("c", state="dead", text=None)

    browser_of(adam).post(f"{PAGE}/replay")

    assert Delivery.objects.filter(state="received").count() == 2
    assert Delivery.objects.get(state="dead").vendor_id == "c"


def test_a_member_processes_nothing_again(bob, delivered):
    row = delivered(state="dead")

    assert browser_of(bob).post(f"{PAGE}/deliveries/{row.pk}/replay").status_code == 403
    assert browser_of(bob).post(f"{PAGE}/replay").status_code == 403


# --- webhooks


def test_the_row_tells_how_it_fares(adam, endpoint, delivered):
    WebhookEndpoint.objects.update(refused_count=3, last_delivery_at=timezone.now())

    page = browser_of(adam).get(PAGE)

    row = page.context["endpoints"]["rows"][0]
    assert (row["health"]["word"], row["refused"], row["account"]) == ("Active", 3, "alice@example.org")
    assert f"/hooks/{endpoint.key}" in page.text and "s3cret-of-the-endpoint" not in page.text


def test_the_providers_page_shows_its_own(adam, endpoint):
    page = browser_of(adam).get("/p/acme/integrations/todoist")

    assert [one["id"] for one in page.context["endpoints"]["rows"]] == [str(endpoint.pk)]
    assert browser_of(adam).get("/p/acme/integrations/linear").context["endpoints"]["rows"] == []


def test_a_new_one_starts_with_the_service(adam, acmes_todoist):
    offers = browser_of(adam).get(f"{PAGE}/new", headers=FRAGMENT).context["offers"]

    ready = {one["plugin"]: one["is_ready"] for one in offers}
    assert ready["todoist"] and not ready["linear"]


def test_a_custom_one_shows_address_and_secret_once(adam, intranet):
    told = browser_of(adam).post(
        f"{PAGE}/new?plugin=intranet", {"scheme": "github", "label": "Builds"}, headers=FRAGMENT
    )

    row = WebhookEndpoint.objects.get()
    secret = row.secrets.reveal()["live"][0]["value"]
    assert (told.status_code, row.scheme, row.label) == (200, "github", "Builds")
    assert row.key in told.text and secret in told.text and "no-store" in told["Cache-Control"]
    assert "webhooks-changed" in told["HX-Trigger"]
    assert secret not in browser_of(adam).get(PAGE).text


def test_what_is_refused_is_said_at_its_field(adam, intranet):
    told = browser_of(adam).post(f"{PAGE}/new?plugin=intranet", {"scheme": "nothing"}, headers=FRAGMENT)

    assert told.status_code == 422
    assert told.context["form"]["scheme"].errors
    assert not WebhookEndpoint.objects.exists()


def test_rotating_tells_the_overlap_and_shows_the_new_secret(adam, intranet):
    browser = browser_of(adam)
    browser.post(f"{PAGE}/new?plugin=intranet", {"scheme": "github"})
    row = WebhookEndpoint.objects.get()

    asked = browser.get(f"{PAGE}/{row.pk}/rotate", headers=FRAGMENT)
    told = browser.post(f"{PAGE}/{row.pk}/rotate", {"overlap": "24"}, headers=FRAGMENT)

    row.refresh_from_db()
    live = row.secrets.reveal()["live"]
    assert "24 more hours" in asked.text and live[0]["value"] in told.text and len(live) == 2


def test_pausing_resuming_and_removing(adam, intranet):
    browser = browser_of(adam)
    browser.post(f"{PAGE}/new?plugin=intranet", {"scheme": "github"})
    row = WebhookEndpoint.objects.get()

    browser.post(f"{PAGE}/{row.pk}/pause")
    paused = browser.get(PAGE).context["endpoints"]["rows"][0]["health"]["word"]
    browser.post(f"{PAGE}/{row.pk}/resume")
    assert (paused, browser.get(PAGE).context["endpoints"]["rows"][0]["is_paused"]) == ("Paused", False)

    assert "Remove webhook" in browser.get(f"{PAGE}/{row.pk}/delete", headers=FRAGMENT).text
    browser.post(f"{PAGE}/{row.pk}/delete")
    assert not WebhookEndpoint.objects.exists()
    assert {"webhook.paused", "webhook.resumed", "webhook.deleted"} <= set(
        AuditEvent.objects.values_list("event", flat=True)
    )


def test_a_secret_that_came_with_a_handshake_is_shown_once(adam, endpoint):
    endpoint.secrets = {"live": [{"value": "from-the-vendor", "until": None}], "to_show": "from-the-vendor"}
    endpoint.save()
    browser = browser_of(adam)

    first = browser.post(f"{PAGE}/{endpoint.pk}/secret", headers=FRAGMENT)
    second = browser.post(f"{PAGE}/{endpoint.pk}/secret", headers=FRAGMENT)

    assert "from-the-vendor" in first.text and "from-the-vendor" not in second.text


def test_a_member_changes_no_webhook(bob, endpoint):
    for deed in ("rotate", "pause", "resume", "secret", "delete"):
        assert browser_of(bob).post(f"{PAGE}/{endpoint.pk}/{deed}").status_code == 403
    assert browser_of(bob).get(f"{PAGE}/new").status_code == 403


def test_a_plugin_that_is_switched_off_hears_nothing(api, acme, endpoint):
    from integrations.models import IntegrationDefault
    from integrations.runtime import lines

    def is_open() -> bool:
        found = lines.endpoint_of(endpoint.key)
        return found is not None and lines.is_open(found)

    assert is_open()
    IntegrationDefault.objects.create(provider="todoist", plugin="todoist", project=acme, enabled=False)

    assert not is_open()
