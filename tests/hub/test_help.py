import re

import pytest

from navi.audit.problems import CODES
from navi.hub import manual

pytestmark = pytest.mark.django_db


def test_every_page_opens_and_every_link_between_pages_leads_somewhere(client):
    for page in manual.pages().values():
        answer = client.get(page.url)
        assert answer.status_code == 200, page.slug
        assert client.get(f"{page.url}.md").content.decode().startswith("# ")
        for target in re.findall(r"\]\(([a-z-]+)\)", page.markdown):
            assert target in manual.pages(), f"{page.slug} links to {target}"


def test_every_error_code_has_a_paragraph_of_its_own(client):
    shown = client.get("/help/errors").content.decode()

    assert [code for code in CODES if f'id="{code}"' not in shown] == []


def test_a_search_finds_pages_that_hold_every_word(client):
    found = client.get("/help/", {"q": "idempotency key"}).content.decode()
    nothing = client.get("/help/", {"q": "xyzzy"}).content.decode()

    assert "/help/agents" in found
    assert "<mark>" in found
    assert "Nothing fits" in nothing


def test_a_search_shows_no_markup_of_its_own(client):
    assert "<script>" not in client.get("/help/", {"q": "<script>alert(1)</script>"}).content.decode()


def test_agents_find_the_manual_in_llms_txt(client):
    text = client.get("/llms.txt").content.decode()

    assert text.startswith("# Navi\n")
    assert "/help/agents.md" in text


def test_an_unknown_page_is_not_found(client):
    assert client.get("/help/nothing-here").status_code == 404
    assert client.get("/help/../../etc/passwd").status_code == 404
