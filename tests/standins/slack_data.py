"""The things in Slack's memory, in the shapes of its Web API (https://docs.slack.dev/reference/objects)."""

from typing import Any

GENERAL, RANDOM, PRIVATE = "C0GENERAL1", "C0RANDOM01", "C0PRIVATE1"
BOT_USER, BOT, APP = "U0NAVIBOT1", "B0NAVIBOT1", "A0NAVIAPP1"
TEAM = {"id": "T0NAVITEST", "name": "Navi Test"}

Fields = dict[str, Any]


def kind_of(found: Fields) -> str:
    return "private_channel" if found["is_private"] else "public_channel"


def user_id(person: str) -> str:
    return f"U0{person.upper():0<8}"


def channel(id: str, name: str, *, is_private: bool = False, is_member: bool = False) -> Fields:
    return {
        "id": id,
        "name": name,
        "is_channel": not is_private,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": is_private,
        "is_archived": False,
        "is_general": id == GENERAL,
        "is_member": is_member,
        "created": 1770000000,
        "creator": user_id("alice"),
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": f"Where we talk about {name}", "creator": "", "last_set": 0},
        "num_members": 3,
    }


def person(name: str, *, is_bot: bool = False) -> Fields:
    id = BOT_USER if is_bot else user_id(name)
    profile = {"real_name": name.capitalize(), "display_name": name, "team": TEAM["id"]}
    return {
        "id": id,
        "team_id": TEAM["id"],
        "name": name,
        "deleted": False,
        "real_name": name.capitalize(),
        "profile": profile if is_bot else profile | {"email": f"{name}@example.org"},
        "is_bot": is_bot,
        "is_app_user": False,
        "updated": 1770000000,
    }


def without_email(found: Fields) -> Fields:
    kept = {name: value for name, value in found["profile"].items() if name != "email"}
    return found | {"profile": kept}


def by_the_app(text: str) -> Fields:
    """What marks a message as the app's own."""
    profile = {"id": BOT, "app_id": APP, "name": "Navi", "deleted": False, "team_id": TEAM["id"]}
    return {
        "type": "message",
        "text": text,
        "user": BOT_USER,
        "bot_id": BOT,
        "app_id": APP,
        "bot_profile": profile,
    }
