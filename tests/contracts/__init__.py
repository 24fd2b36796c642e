"""Vendors' published descriptions, which lie beside the checkout or where NAVI_CONTRACTS says."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONTRACTS = Path(os.environ.get("NAVI_CONTRACTS") or REPOSITORY.parent / "shared" / "contracts")
