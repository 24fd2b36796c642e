"""The corpus: what Navi does not call, and why; what it does call."""

import pytest

from navi.net.addresses import plain
from navi.net.errors import Blocked
from navi.net.guard import Policy, explain, vet
from tests.net.corpus import GOOD_URLS, HOSTILE_ANSWERS, HOSTILE_URLS, PUBLIC, SPECIAL_ADDRESSES

NOTHING_ALLOWED = Policy()
HOSTILE_NAMES = {
    **HOSTILE_ANSWERS,
    **{
        f"name-{index}.example.com": ([address], reason)
        for index, (address, reason) in enumerate(SPECIAL_ADDRESSES.items())
    },
}


def dns(host: str, port: int, deadline: float) -> list[str]:
    return HOSTILE_NAMES[host][0] if host in HOSTILE_NAMES else [PUBLIC]


def reason_for(url: str) -> str:
    with pytest.raises(Blocked) as refusal:
        vet(url, policy=NOTHING_ALLOWED, resolve=dns)
    return refusal.value.reason


def in_a_url(address: str) -> str:
    return f"https://[{address}]/" if ":" in address else f"https://{address}/"


def test_the_corpus_is_large_enough():
    assert len(HOSTILE_URLS) + len(SPECIAL_ADDRESSES) + len(HOSTILE_NAMES) >= 250


@pytest.mark.parametrize(("url", "reason"), HOSTILE_URLS.items(), ids=lambda case: ascii(case)[:50])
def test_a_hostile_url_is_refused(url, reason):
    assert reason_for(url) == reason


@pytest.mark.parametrize(("address", "reason"), SPECIAL_ADDRESSES.items())
def test_a_special_address_in_a_url_is_refused(address, reason):
    assert reason_for(in_a_url(address)) == reason


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_leads_to_a_special_address_is_refused(name):
    assert reason_for(f"https://{name}/") == HOSTILE_NAMES[name][1]


@pytest.mark.parametrize(("url", "sent"), GOOD_URLS.items(), ids=lambda case: ascii(case)[:50])
def test_a_good_url_passes_in_its_normal_form(url, sent):
    assert vet(url, policy=NOTHING_ALLOWED, resolve=dns).url == sent


def test_an_explanation_agrees_with_the_guard():
    for url in (*HOSTILE_URLS, *map(in_a_url, SPECIAL_ADDRESSES)):
        verdict = explain(url, policy=NOTHING_ALLOWED, resolve=dns)
        assert (verdict.allowed, verdict.reason, verdict.addresses) == (False, reason_for(url), ())

    good = explain("https://good.example.com/", policy=NOTHING_ALLOWED, resolve=dns)
    assert (good.allowed, good.reason, good.addresses) == (True, "ok", (PUBLIC,))


def test_a_refusal_never_repeats_the_url():
    with pytest.raises(Blocked) as refusal:
        vet("https://alice:hunter2@good.example.com/?key=hunter2", policy=NOTHING_ALLOWED, resolve=dns)

    assert "hunter2" not in str(refusal.value) + repr(refusal.value)


@pytest.mark.parametrize("address", SPECIAL_ADDRESSES)
def test_metadata_stays_blocked_whatever_the_operator_lists(address):
    everything = Policy.parse(
        f"0.0.0.0/0,::/0,{str(plain(address)) if ':' not in address else '[' + address + ']'}", []
    )
    verdict = explain(in_a_url(address), policy=everything)

    assert verdict.allowed is (SPECIAL_ADDRESSES[address] != "metadata_address")
