"""A browser and an agent over real HTTP that keep every answer; a vendor that says back what it was told."""

from __future__ import annotations

import http.client
import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tests.standins.server import Request, Response, Standin, answer_with

CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass
class Answer:
    what: str  # "GET /p/acme/agents"
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def raw(self) -> bytes:
        head = "\r\n".join(f"{name}: {value}" for name, value in self.headers)
        return head.encode("latin-1", "replace") + b"\r\n\r\n" + self.body

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Visitor:
    """One visitor's HTTP; every answer goes into the common book."""

    origin: str
    book: list[Answer]
    token: str | None = None
    cookies: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.origin).netloc, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        answer = Answer(f"{method} {path}", response.status, response.getheaders(), read(response))
        connection.close()
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        self.book.append(answer)
        return answer

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    # As an agent.

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = b"" if body is None else json.dumps(body).encode()
        return self.send(method, path, sent, Content_Type="application/json", **headers)

    # As a person.

    def post(self, path: str, page: str | None = None, **fields: Any) -> Answer:
        """Fill in the form of a page and send it, as a browser without script does."""
        found = CSRF.search(self.get(page or path).text)
        form = urlencode({"csrfmiddlewaretoken": found[1] if found else "", **fields}, doseq=True)
        return self.send("POST", path, form.encode(), Content_Type="application/x-www-form-urlencoded")


def read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read()
    except http.client.IncompleteRead as cut:
        return cut.partial


class EchoVendor(Standin):
    """Says back every credential it was given, in whatever way its `mode` says."""

    mode = "well"

    def answer(self, request: Request) -> Response:
        said = self.said(request)
        if self.mode == "well":
            return answer_with(200, self.well(request, said))
        return MODES[self.mode](said)

    def said(self, request: Request) -> str:
        """The credential as it came, alone, and as it looks in an address."""
        header = request.headers["Authorization"] or request.headers["X-Key"] or ""
        heard = [header, header.rpartition(" ")[2], *request.query.values()]
        encoded = [quote(text, safe="") for text in heard] + [
            b64encode(text.encode()).decode() for text in heard
        ]
        return " ".join(filter(None, [*heard, *encoded]))

    def well(self, request: Request, said: str) -> Any:
        if request.path.endswith("/user"):
            return {"id": "1", "email": "alice@example.org", "full_name": "Alice"}
        if request.path.endswith("/projects"):
            return {"results": [{"id": "p1", "name": "Inbox"}], "next_cursor": None}
        if request.path.endswith("/sync"):
            [command] = request.json()["commands"]
            return {
                "sync_status": {command["uuid"]: "ok"}, "temp_id_mapping": {command["temp_id"]: "t1"},
            }  # fmt: skip
        if request.path.endswith("/tasks/t1"):
            return {"id": "t1", "content": "Buy milk", "project_id": "p1"}
        if request.path.endswith("/echo"):
            return {"heard": said, "deep": [{said: said}]}
        return {}


MODES = {
    "401 in JSON": lambda said: answer_with(
        401,
        {"error": f"Bad token {said}", "message": said, "error_tag": said, "error_extra": {"argument": said}},
    ),
    "403 in JSON": lambda said: answer_with(403, {"error": said, "error_extra": {"explanation": said}}),
    "400 in JSON": lambda said: answer_with(400, {"error": f"What is {said}?"}),
    "422 in text": lambda said: answer_with(422, said),
    "429": lambda said: answer_with(
        429, {"error": said, "error_extra": {"retry_after": 1}}, {"Retry-After": "1"}
    ),
    "500 in HTML": lambda said: answer_with(500, f"<h1>{said}</h1>".encode(), {"Content-Type": "text/html"}),
    "503 in text": lambda said: answer_with(503, said, {"X-Echo": said}),
    "200 in HTML": lambda said: answer_with(
        200, f"<h1>Sign in as {said}</h1>".encode(), {"Content-Type": "text/html"}
    ),
    "no JSON": lambda said: answer_with(
        200, b'{"id": "' + said.encode(), {"Content-Type": "application/json"}
    ),
    "another shape": lambda said: answer_with(200, {"results": said, "id": {"x": said}}),
    "redirect": lambda said: answer_with(
        302, b"", {"Location": f"/again?key={said.split(' ')[-1]}&raw={said}"}
    ),
    "said in a header": lambda said: answer_with(
        404, {"error": "Not found"}, {"X-Echo": said, "ETag": f'"{said}"'}
    ),
}
