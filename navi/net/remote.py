"""A vendor's HTTP facts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from navi.net.answer import Response
from navi.net.auth import Scheme
from navi.net.body import MAX_BYTES
from navi.net.errors import VendorError
from navi.net.oauth import OAuth2


@dataclass(frozen=True)
class Remote:
    """Where a provider's API is and how to talk to it.

    `upstream` is an origin that gets every request instead of `base_url`'s; `errors` turns an answer of 400
    or more into what the caller does next, or gives None for the usual meaning; with `errors_in_200` it reads
    every answer, for vendors who tell troubles with status 200, and None means that all is well there;
    `deadline` is in seconds for a request with all its tries, `max_bytes` counts the unpacked answer;
    `name` is for people.
    Credentials are kept for `bound_to` and go nowhere else; `may_go_inside` says whether addresses that
    only NAVI_OUTBOUND_ALLOW opens are open to it; `oauth` is set where the credential is a grant.
    """

    provider: str
    base_url: str
    auth: Scheme
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    upstream: str | None = None
    errors: Callable[[Response], VendorError | None] | None = field(default=None, repr=False)
    errors_in_200: bool = False
    deadline: float = 30.0
    max_bytes: int = MAX_BYTES
    name: str = ""
    bound_to: str = ""
    may_go_inside: bool = True
    oauth: OAuth2 | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.name or self.provider
