"""What an agent is told of what there is to choose from."""

from __future__ import annotations

import pytest

from integrations.models import Discovered

PATH = "/api/plugins/todoist/discover/projects"


def test_the_answer_says_how_old_it_is(ada, acmes_todoist, todoist):
    told = ada.get(PATH).json()

    assert set(told) == {"resource", "choices", "fetchedAt", "stale", "error"}
    assert (told["resource"], told["stale"], told["error"]) == ("projects", False, None)
    assert set(told["choices"][0]) == {"id", "label"}
    assert ada.get(PATH).json() == told
    assert len(todoist.requests) == 1


def test_an_agent_can_have_it_read_anew(ada, acmes_todoist, todoist):
    ada.get(PATH)
    ada.get(PATH, refresh="1")

    assert len(todoist.requests) == 2


def test_while_the_vendor_is_down_the_last_choices_stay_and_the_answer_says_why(ada, acmes_todoist, todoist):
    before = ada.get(PATH).json()
    todoist.fail_next(503, times=20)

    told = ada.get(PATH, refresh="1")

    assert (told.status_code, told.json()["choices"]) == (200, before["choices"])
    assert (told.json()["stale"], told.json()["fetchedAt"]) == (True, before["fetchedAt"])
    assert "Todoist" in told.json()["error"]


def test_without_a_former_answer_an_outage_is_told_as_ever(ada, acmes_todoist, todoist, error):
    todoist.fail_next(503, times=20)

    assert error(ada.get(PATH))["code"] == "vendor_unavailable"


@pytest.mark.parametrize("asked", ["maybe", "\x00", "2", "yes please"])
def test_a_switch_that_is_none_is_refused(ada, acmes_todoist, error, asked):
    said = error(ada.get(PATH, refresh=asked))

    assert (said["code"], said["field"]) == ("invalid_input", "refresh")


def test_a_stranger_meets_nothing_of_it(api, token_of, charlie, elsewhere, ada, acmes_todoist, error):
    ada.get(PATH)

    said = error(api(token_of(charlie, elsewhere, "read", "run")).get(PATH))

    assert said["code"] == "not_connected"
    assert Discovered.objects.count() == 1


def test_a_token_that_may_only_read_is_refused(rita, ada, acmes_todoist, error):
    ada.get(PATH)

    assert error(rita.get(PATH))["code"] == "out_of_scope"
