"""Keys are recognised while somebody types them by the same table as when they arrive."""

import pytest

from integrations.sdk.recognise import BEGINNINGS, foreign_beginnings, foreign_key


@pytest.mark.parametrize(("beginning", "words", "provider"), BEGINNINGS)
def test_what_the_browser_recognises_the_server_recognises_too(beginning, words, provider):
    found = foreign_key(f"{beginning}{'0123456789abcdefABCDEF' * 2}", "somebody-else")

    assert found is not None and found.removeprefix("a ").removeprefix("an ") == words


def test_a_providers_own_keys_are_not_foreign_to_it():
    assert "lin_api_" not in foreign_beginnings("linear") and "lin_api_" in foreign_beginnings("todoist")
