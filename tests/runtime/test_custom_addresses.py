"""The addresses of a described provider, as agents write them."""

import pytest

from credentials.client import start_anew
from integrations.models import CustomProvider

PLACE = "/api/providers/custom"
ADDRESSES = ["baseUrl", "authorizeUrl", "tokenUrl", "revokeUrl", "keyHelpUrl"]
NO_ADDRESSES = ["http://[x", "https://203.0.113.7/{client_id}", "https://203.0.113.7/a\x00b"]
WIKI = {
    "name": "Wiki", "baseUrl": "https://10.0.0.7", "sentAs": "oauth", "clientAuth": "body",
    "authorizeUrl": "https://10.0.0.7/authorize", "tokenUrl": "https://10.0.0.7/token",
    "revokeUrl": "https://10.0.0.7/revoke", "keyHelpUrl": "https://10.0.0.7/help#keys",
}  # fmt: skip


@pytest.fixture(autouse=True)
def inside(settings):
    """The service stands where no name has to be looked up."""
    settings.OUTBOUND_ALLOW = "10.0.0.7"
    start_anew()


@pytest.mark.parametrize("field", ADDRESSES)
@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_none_that_cannot_be_read_is_taken(ada, field, address):
    refused = ada.post(PLACE, {**WIKI, field: address})
    made = ada.post(PLACE, WIKI)
    unchanged = ada.put(f"{PLACE}/wiki", {**WIKI, field: address})

    assert made.status_code == 201
    for answer in (refused, unchanged):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")
        assert answer.json()["error"]["field"] == field
    assert ada.get(f"{PLACE}/wiki").json()[field] == WIKI[field]


@pytest.mark.parametrize("field", ADDRESSES[1:4])
def test_one_that_is_not_used_yet_is_read_too(ada, field):
    answer = ada.post(PLACE, {**WIKI, "sentAs": "bearer", field: "http://[x"})

    assert answer.json()["error"]["field"] == field
    assert not CustomProvider.objects.exists()
