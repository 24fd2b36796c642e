"""What the flows of this room refuse, each with its code of the contract and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from navi.audit.problems import Problem


class InvalidInput(Problem):
    """Something was typed wrong; `field` names it."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__("invalid_input", message, field=field)


class NotAllowed(Problem):
    """This person or agent may not do that here."""

    def __init__(self, message: str) -> None:
        super().__init__("out_of_scope", message)


class ScopeNotAllowed(Problem):
    """A scope is not of the list, or more than its owner holds. The message names it."""

    def __init__(self, code: str, message: str, *, scopes: Sequence[str]) -> None:
        super().__init__(code, message, field="scopes", missing_scopes=scopes)


class Conflict(Problem):
    """It clashes with what is there."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__("conflict", message, field=field)


class AlreadyMember(Conflict):
    pass


class LastOwner(Conflict):
    def __init__(self) -> None:
        super().__init__("A project needs an owner. Make somebody else an owner first.")


class InvitationClosed(Problem):
    """Unknown, used, expired and revoked links get the same answer."""

    def __init__(self) -> None:
        super().__init__("unknown", "This link is no longer open. Ask for a new one.")


class BadToken(Problem):
    """No living agent token. The outside hears one sentence; `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__("unauthenticated", "This agent token is not valid. Create one in Navi under Agents.")
        self.reason = reason


class PepperMissing(Problem):
    """No code can be checked or made, because its key file is missing or damaged."""

    def __init__(self) -> None:
        super().__init__("sealed", "Navi cannot check tokens and links now: its pepper file is missing.")
