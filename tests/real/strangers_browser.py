"""A person's browser at a vendor's own pages: follows redirects, fills in forms, stops where Navi would begin."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any, Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

from tests.real.vendors import CALLBACK, PASSWORD

MOST_PAGES = 20


class Page(HTMLParser):
    """A page's form with its fields, the buttons that have a name, and the links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: dict[str, str] = {}
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        facts = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = facts.get("action", "")
        elif tag == "a":
            self.links.append(facts.get("href", ""))
        elif tag == "input" and facts.get("name"):
            kept = self.buttons if facts.get("type") == "submit" else self.fields
            kept[facts["name"]] = facts.get("value", "")

    @property
    def asks_who(self) -> bool:
        return "password" in self.fields

    @property
    def way_out(self) -> str:
        return next((link for link in self.links if link.endswith("/abort")), "")


class Browser:
    """One person's, with their cookies."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.http = httpx2.Client(trust_env=False, timeout=30)
        self.asked: list[str] = []  # the addresses it was sent to

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.http.close()

    def agree(self, address: str) -> dict[str, str]:
        """Sign in where asked, allow what is asked for; what the vendor sends back to Navi's callback."""
        return self.walk(address, allow=True)

    def deny(self, address: str) -> dict[str, str]:
        return self.walk(address, allow=False)

    def walk(self, address: str, *, allow: bool) -> dict[str, str]:
        answer = self.http.get(address)
        for _ in range(MOST_PAGES):
            self.asked.append(str(answer.url))
            if answer.is_redirect:
                address = urljoin(str(answer.url), answer.headers["location"])
                if address.split("?")[0] == CALLBACK:
                    return dict(parse_qsl(urlsplit(address).query))
                answer = self.http.get(address)
            else:
                assert answer.status_code == 200, (answer.status_code, answer.text[:2000])
                answer = self.answered(answer, allow=allow)
        raise AssertionError(f"The vendor went in circles: {self.asked}")

    def answered(self, shown: httpx2.Response, *, allow: bool) -> httpx2.Response:
        page, here = Page(shown.text), str(shown.url)
        if page.asks_who:
            known = {"username": self.who, "login": self.who, "password": PASSWORD}
            fields = {**page.fields, **{name: known[name] for name in known if name in page.fields}}
            return self.http.post(urljoin(here, page.action), data=fields)
        if not allow and page.way_out:
            return self.http.get(urljoin(here, page.way_out))
        pressed = page.buttons if allow else {}
        return self.http.post(urljoin(here, page.action), data={**page.fields, **pressed})
