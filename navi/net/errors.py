"""What can go wrong outside, told by what the caller does next."""

from datetime import datetime

# Reasons for which the guard blocks an answer: the request was sent, and its outcome is lost.
OF_THE_ANSWER = frozenset({"answer_too_large", "decompression_ratio", "content_encoding", "bad_answer"})


class VendorError(Exception):
    """A call to a vendor did not work out.

    `message` is for the person who meets it and never holds a secret, `status` is the vendor's HTTP
    status where there was one, `code` is one of the closed list in the API's contract.
    """

    code = "vendor_unavailable"
    provider = ""
    connection_id: object = None  # whose call it was, filled in by who knows
    guessed_at: datetime | None = None  # when to come back, where nobody said

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code or type(self).code


class TryLater(VendorError):
    """The same call may work later: at `retry_at` (UTC) where the vendor or the limiter said so.

    `timed_out` tells a deadline from other trouble; `sent` is true where the vendor may have received the
    request, so that only a call safe to repeat is repeated.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_at: datetime | None = None,
        timed_out: bool = False,
        sent: bool = False,
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.retry_at = retry_at
        self.timed_out = timed_out
        self.sent = sent


class Reconnect(VendorError):
    """The vendor no longer accepts the credential; a person has to connect again."""

    code = "reauth_required"


class Refused(VendorError):
    """The vendor understood and said no; `field` names the argument at fault where that is known."""

    code = "vendor_refused"

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.field = field


class MissingScopes(VendorError):
    """The credential works, but was not granted `scopes`."""

    code = "missing_scopes"

    def __init__(
        self,
        message: str,
        *,
        scopes: tuple[str, ...] = (),
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.scopes = scopes


class Blocked(VendorError):
    """Navi's own guard said no; `reason` is a stable slug such as `private_address`."""

    code = "blocked"

    def __init__(
        self, message: str, *, reason: str = "blocked", status: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.reason = reason
