"""The stand-in's Gmail: threads that really grow, a history with growing numbers, mail that is stored as sent."""

import base64
import json
import secrets
from collections.abc import Iterable, Iterator
from email import message_from_bytes
from email.policy import default
from typing import Any

from tests.standins.google_shape import Answer, Fields, Problem, Query, one_of, unknown, wrong
from tests.standins.server import Response

GONE = "Requested entity was not found."
A_WEEK = 7 * 24 * 3600
HIDDEN = {"SPAM", "TRASH"}


def mine_only(values: Fields) -> None:
    if values["userId"] != "me":
        raise Problem(403, "forbidden", "Delegation denied for alice@example.org", "PERMISSION_DENIED")


# --- reading


def profile(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    return {
        "emailAddress": mine["primary"],
        "messagesTotal": len(list(messages_of(mine))),
        "threadsTotal": len(mine["threads"]),
        "historyId": str(mine["history_id"]),
    }


def list_labels(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    return {"labels": mine["labels"]}


def list_threads(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    found = [
        {name: thread[name] for name in ("id", "snippet", "historyId")}
        for thread in mine["threads"]
        if is_wanted(query, labels_of(thread)) and is_found(query, thread["messages"], mine)
    ]
    return paged(query, found, "threads")


def list_messages(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    found = [
        {"id": message["id"], "threadId": message["threadId"]}
        for message in sorted(messages_of(mine), key=lambda one: -int(one["internalDate"]))
        if is_wanted(query, set(message["labelIds"])) and is_found(query, [message], mine)
    ]
    return paged(query, found, "messages")


def paged(query: Query, found: list[Fields], key: str) -> Fields:
    page = query.page(found, min(query.number("maxResults", 100), 500), key, is_left_out=True)
    return {**page, "resultSizeEstimate": len(found)}


def messages_of(mine: Fields) -> Iterator[Fields]:
    for thread in mine["threads"]:
        yield from thread["messages"]


def message_in(mine: Fields, id: str) -> Fields:
    return one_of(list(messages_of(mine)), id, GONE)


def taken_out(mine: Fields, id: str) -> Fields:
    """Delete a message, and its thread with the last one."""
    message = message_in(mine, id)
    for thread in mine["threads"]:
        thread["messages"] = [one for one in thread["messages"] if one is not message]
    mine["threads"] = [thread for thread in mine["threads"] if thread["messages"]]
    return message


def labels_of(thread: Fields) -> set[str]:
    return {label for message in thread["messages"] for label in message["labelIds"]}


def is_wanted(query: Query, labels: set[str]) -> bool:
    hidden = set() if query.one.get("includeSpamTrash") == "true" else HIDDEN
    return set(query.all("labelIds")) <= labels and not hidden & labels


def is_found(query: Query, messages: list[Fields], mine: Fields) -> bool:
    """A little of Gmail's search; all words have to be found."""
    # The first day's mail is from November 2026, and stays new.
    newest = max((int(message["internalDate"]) / 1000 for message in messages_of(mine)), default=0)
    today = min(query.now, newest)
    return all(is_said(word, today, messages) for word in query.one.get("q", "").lower().split())


def is_said(word: str, today: float, messages: list[Fields]) -> bool:
    name, _, value = word.partition(":")
    if name == "newer_than":
        least = (today - int(value.rstrip("d")) * 86400) * 1000
        return any(int(message["internalDate"]) >= least for message in messages)
    if name in {"is", "in"}:
        return any(value.upper() in message["labelIds"] for message in messages)
    if name == "rfc822msgid":
        return value in {header_in(message, "message-id").strip("<>").lower() for message in messages}
    if name in {"from", "to", "subject"}:
        return any(value in header_in(message, name).lower() for message in messages)
    return any(word in text_in(message) for message in messages)


def header_in(message: Fields, name: str) -> str:
    headers = message["payload"]["headers"]
    return next((str(one["value"]) for one in headers if one["name"].lower() == name), "")


def text_in(message: Fields) -> str:
    headers = " ".join(header["value"] for header in message["payload"]["headers"])
    return f"{message['snippet']} {headers}".lower()


def get_thread(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    thread = one_of(mine["threads"], values["id"], GONE)
    told = {name: value for name, value in thread.items() if name != "snippet"}
    return {**told, "messages": [formatted(message, query) for message in thread["messages"]]}


def get_message(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    return formatted(message_in(mine, values["id"]), query)


def formatted(message: Fields, query: Query) -> Fields:
    form = query.one.get("format", "full")
    if form == "full":
        return message
    kept = {name: value for name, value in message.items() if name != "payload"}
    if form == "metadata":
        names = {name.lower() for name in query.all("metadataHeaders")}
        payload = {name: value for name, value in message["payload"].items() if name not in {"body", "parts"}}
        if names:
            payload["headers"] = [one for one in payload["headers"] if one["name"].lower() in names]
        kept["payload"] = payload
    return kept


def get_attachment(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    message_in(mine, values["messageId"])
    if values["id"] not in mine["attachments"]:
        raise wrong("Invalid attachment token")
    content = mine["attachments"][values["id"]]
    return {"size": len(content), "data": base64.urlsafe_b64encode(content).decode()}


# --- the history


def list_history(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    written = query.one.get("startHistoryId", "")
    if not written.isdecimal():
        raise wrong("Invalid value at 'start_history_id'")
    if not mine["history_floor"] <= int(written) <= mine["history_id"]:
        raise unknown(GONE)
    found = [record for record in mine["history"] if int(record["id"]) > int(written)]
    page = query.page(found, min(query.number("maxResults", 100), 500), "history", is_left_out=True)
    return {**page, "historyId": str(mine["history_id"])}


def remember(mine: Fields, message: Fields, kind: str, labels: Iterable[str] = ()) -> None:
    """Write one change into the history, and tell the topic that is watched."""
    mine["history_id"] += 7
    number = str(mine["history_id"])
    brief = {name: message[name] for name in ("id", "threadId", "labelIds") if name in message}
    entry: Fields = {"message": brief, **({"labelIds": list(labels)} if labels else {})}
    ids = {"id": message["id"], "threadId": message["threadId"]}
    mine["history"].append({"id": number, "messages": [ids], kind: [entry]})
    message["historyId"] = number
    for thread in mine["threads"]:
        if thread["id"] == message["threadId"]:
            thread["historyId"] = number
    if mine["watch"] and (not mine["watch"]["labels"] or mine["watch"]["labels"] & set(message["labelIds"])):
        mine["publish"]()


# --- writing


def send(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    message = stored(mine, query, query.body, ["SENT"])
    return {name: message[name] for name in ("id", "threadId", "labelIds")}


def create_draft(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    message = stored(mine, query, query.body.get("message", {}), ["DRAFT"])
    brief = {name: message[name] for name in ("id", "threadId", "labelIds")}
    return {"id": f"r{int(message['id'], 16)}", "message": brief}


def stored(mine: Fields, query: Query, said: Fields, labels: list[str]) -> Fields:
    """Put a message that came as RFC 5322 into its thread, or into one of its own."""
    content = base64.urlsafe_b64decode(said.get("raw", "") + "==")
    parsed = message_from_bytes(content, policy=default)
    if "DRAFT" not in labels and not (parsed["To"] or parsed["Cc"] or parsed["Bcc"]):
        raise Problem(400, "invalidArgument", "Recipient address required", "INVALID_ARGUMENT")
    if "From" not in parsed:
        parsed["From"] = f"{mine['user']['name']} <{mine['primary']}>"
    return put(mine, parsed, labels, query.now, said.get("threadId", ""))


def put(mine: Fields, parsed: Any, labels: list[str], now: float, thread_id: str = "") -> Fields:
    id = f"{int(now * 1000):x}{secrets.token_hex(3)}"[-16:]
    thread = thread_for(mine, parsed, thread_id) or {"id": id, "historyId": "", "snippet": "", "messages": []}
    if thread not in mine["threads"]:
        mine["threads"].insert(0, thread)
    payload = payload_of(mine, parsed)
    message: Fields = {
        "id": id,
        "threadId": thread["id"],
        "labelIds": labels,
        "snippet": plain_in(parsed)[:80],
        "historyId": "",
        "internalDate": str(int(now * 1000)),
        "sizeEstimate": len(bytes(parsed)),
        "payload": payload,
    }
    thread["messages"].append(message)
    thread["snippet"] = message["snippet"]
    remember(mine, message, "messagesAdded")
    return message


def thread_for(mine: Fields, parsed: Any, thread_id: str) -> Fields | None:
    """The thread that is named, if References and Subject fit, as Gmail asks; else that of what is answered."""
    answered = {*str(parsed["References"] or "").split(), *str(parsed["In-Reply-To"] or "").split()}
    subject = bare(str(parsed["Subject"] or ""))
    if thread_id:
        one_of(mine["threads"], thread_id, GONE)
    threads: list[Fields] = mine["threads"]
    for thread in threads:
        ids = {header_in(message, "message-id") for message in thread["messages"]}
        subjects = {bare(header_in(message, "subject")) for message in thread["messages"]}
        if answered & ids and subject in subjects and thread_id in ("", thread["id"]):
            # To the top: the list is in the order of the last messages.
            threads.insert(0, threads.pop(threads.index(thread)))
            return thread
    return None


def bare(subject: str) -> str:
    return subject.lower().removeprefix("re:").strip()


def plain_in(parsed: Any) -> str:
    body = parsed.get_body(("plain", "html"))
    return "" if body is None else " ".join(str(body.get_content()).split())


def payload_of(mine: Fields, part: Any, number: str = "") -> Fields:
    """A MIME part as Gmail tells it: text inside, files by an id of their own."""
    found: Fields = {
        "partId": number,
        "mimeType": part.get_content_type(),
        "filename": part.get_filename() or "",
        "headers": [{"name": name, "value": " ".join(str(value).split())} for name, value in part.items()],
        "body": {"size": 0},
    }
    if part.is_multipart():
        inner = list(part.iter_parts())
        found["parts"] = [
            payload_of(mine, one, f"{number}.{place}".strip(".")) for place, one in enumerate(inner)
        ]
    else:
        found["body"] = body_of(mine, part, found["filename"])
    return found


def body_of(mine: Fields, part: Any, filename: str) -> Fields:
    content = part.get_payload(decode=True) or b""
    if part.get_content_maintype() == "text" and not filename:
        content = content.decode(part.get_content_charset("utf-8"), "replace").encode()
    if not filename:
        return {"size": len(content), "data": base64.urlsafe_b64encode(content).decode()}
    id = f"ANGjdJ{secrets.token_hex(8)}"
    mine["attachments"][id] = content
    return {"size": len(content), "attachmentId": id}


# --- labels


def modify_thread(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    thread = one_of(mine["threads"], values["id"], GONE)
    added, removed = query.body.get("addLabelIds", []), query.body.get("removeLabelIds", [])
    known = {label["id"] for label in mine["labels"]}
    for label in [*added, *removed]:
        if label not in known:
            raise wrong(f"Invalid label: {label}")
    for message in thread["messages"]:
        relabel(mine, message, added, removed)
    brief = [{name: one[name] for name in ("id", "threadId", "labelIds")} for one in thread["messages"]]
    return {"id": thread["id"], "historyId": thread["historyId"], "messages": brief}


def relabel(mine: Fields, message: Fields, added: Iterable[str], removed: Iterable[str]) -> None:
    new = [label for label in added if label not in message["labelIds"]]
    old = [label for label in removed if label in message["labelIds"]]
    message["labelIds"] = [label for label in message["labelIds"] if label not in old] + new
    if new:
        remember(mine, message, "labelsAdded", new)
    if old:
        remember(mine, message, "labelsRemoved", old)


def create_label(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    name = query.body.get("name", "")
    if not name or name.lower() in {label["name"].lower() for label in mine["labels"]}:
        raise Problem(409, "aborted", "Label name exists or conflicts", "ABORTED")
    label = {"id": f"Label_{len(mine['labels']) + 10}", "type": "user", **query.body}
    mine["labels"].append(label)
    return label


# --- push


def watch(mine: Fields, values: Fields, query: Query) -> Fields:
    mine_only(values)
    topic = query.body.get("topicName", "")
    if topic not in mine["topics"]():
        raise Problem(403, "forbidden", f"User not authorized to perform this action on {topic}.")
    ends_at = query.now + A_WEEK
    mine["watch"] = {"topic": topic, "labels": set(query.body.get("labelIds", [])), "ends_at": ends_at}
    return {"historyId": str(mine["history_id"]), "expiration": str(int(ends_at * 1000))}


def stop(mine: Fields, values: Fields, query: Query) -> Response:
    mine_only(values)
    mine["watch"] = None
    return Response(204)


def pushed(mine: Fields, number: int) -> bytes:
    """What Pub/Sub posts for one change, in its envelope."""
    data = json.dumps({"emailAddress": mine["primary"], "historyId": mine["history_id"]}).encode()
    times = {"publishTime": "2026-11-22T09:00:00.000Z", "publish_time": "2026-11-22T09:00:00.000Z"}
    id = str(10_000_000_000_000_000 + number)
    message = {"data": base64.b64encode(data).decode(), "messageId": id, "message_id": id, **times}
    return json.dumps({"message": message, "subscription": "projects/navi/subscriptions/navi"}).encode()


ANSWERS: dict[str, Answer] = {
    "gmail.users.getProfile": profile,
    "gmail.users.labels.list": list_labels,
    "gmail.users.labels.create": create_label,
    "gmail.users.threads.list": list_threads,
    "gmail.users.threads.get": get_thread,
    "gmail.users.threads.modify": modify_thread,
    "gmail.users.messages.list": list_messages,
    "gmail.users.messages.get": get_message,
    "gmail.users.messages.send": send,
    "gmail.users.messages.attachments.get": get_attachment,
    "gmail.users.drafts.create": create_draft,
    "gmail.users.history.list": list_history,
    "gmail.users.watch": watch,
    "gmail.users.stop": stop,
}
