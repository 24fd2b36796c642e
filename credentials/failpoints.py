"""Places where tests make the house die, stall or fail, to see that nothing is lost.

`NAVI_FAILPOINTS="refresh.after_response=kill,refresh.before_save=sleep:38"`; refused by `check --deploy`.
"""

from __future__ import annotations

import os
import signal
import time

from django.conf import settings


class Failed(OSError):
    """The failure that a failpoint was set to."""


def reach(name: str) -> None:
    """Do what is set for this place: nothing, in every house that serves people."""
    does, _, argument = settings.FAILPOINTS.get(name, "").partition(":")
    if does == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif does == "sleep":
        time.sleep(float(argument))
    elif does == "fail":
        raise Failed(f"The failpoint {name} was reached.")
