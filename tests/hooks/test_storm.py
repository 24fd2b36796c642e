"""Many at once, and everything killed meanwhile. The long one is `make webhooks`."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections

from integrations.models import Delivery, Record
from tests.hooks import soak


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_fifty_times_the_same_at_once_is_one_delivery(vendor, process_all):
    answers: list[int] = []
    gate = threading.Barrier(50)
    body = b'{"type": "ping"}'
    headers = {"X-Ping-Signature": vendor.sign(body), "X-Ping-Id": "p1"}

    def send() -> None:
        from django.test import Client

        gate.wait()
        try:
            client = Client(raise_request_exception=False)
            while True:
                answer = client.generic(
                    "POST", vendor.path, body, content_type="application/json", headers=headers
                )
                if answer.status_code != 503:  # the vendor comes again
                    break
            answers.append(answer.status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process_all()

    assert answers == [200] * 50
    assert Delivery.objects.get().repeats == 49
    assert Record.objects.filter(plugin="pinger").count() == 1


@pytest.mark.slow
def test_nothing_is_lost_or_done_twice_while_web_and_worker_are_killed():
    plan = soak.Plan(deliveries=400, web_kills=2, worker_kills=3, is_hasty=True)

    figures = run(plan)

    assert soak.is_whole(figures), figures
    assert (figures["web kills"], figures["worker kills"]) == (2, 3)


def run(plan: soak.Plan) -> Any:
    """On the kind of database that the tests use."""
    if connection.vendor == "sqlite":
        return soak.run("", plan)
    facts = connection.settings_dict
    place = f"postgres://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT'] or 5432}/postgres"
    with soak.on_postgres(place.replace(":@", "@")) as url:
        return soak.run(url, plan)
