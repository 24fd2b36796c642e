"""Promises of the room itself."""

import subprocess
import sys


def test_the_way_out_needs_no_django():
    code = "import sys, navi.net.client; print(any(name.startswith('django') for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
