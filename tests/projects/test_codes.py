import random
import re

from navi.projects import codes


def test_a_code_has_the_documented_form():
    code = codes.mint("at")

    assert re.fullmatch(r"navi_at_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", code.text)
    assert len(code.text) == 70
    assert code.public_id == code.text[8:20]


def test_a_code_reads_back_and_never_shows_its_secret():
    code = codes.mint("at")

    assert codes.parse(code.text, kind="at") == code
    assert code.text not in repr(code)
    assert code.public_id in repr(code)


def test_an_invitation_is_no_agent_token():
    assert codes.parse(codes.mint("inv").text, kind="at") is None


def test_no_two_codes_are_alike():
    assert len({codes.mint("at").text for _ in range(2000)}) == 2000


def test_no_random_string_of_the_form_passes_the_checksum():
    dice = random.Random(20261121)
    letters = codes.ALPHABET

    passed = [
        text
        for _ in range(20_000)
        if codes.parse(text := f"navi_at_{''.join(dice.choices(letters, k=12))}_"
                       f"{''.join(dice.choices(letters, k=49))}", kind="at")
    ]  # fmt: skip

    assert passed == []


def test_every_single_typo_is_noticed():
    text = codes.mint("at").text

    for position in range(8, len(text)):
        if text[position] != "_":
            wrong = "a" if text[position] != "a" else "b"
            assert codes.parse(text[:position] + wrong + text[position + 1 :], kind="at") is None


def test_nothing_around_a_code_is_forgiven():
    text = codes.mint("at").text

    for wrong in (
        f" {text}",
        f"{text}\n",
        f"Bearer {text}",
        text.upper(),
        text[:-1],
        text + "0",
        "",
        "\udcff",
    ):
        assert codes.parse(wrong, kind="at") is None


def test_digits_of_other_scripts_are_no_digits():
    text = codes.mint("at").text

    assert codes.parse(text[:-1] + "٣", kind="at") is None
