"""Lets the modules of this folder import each other under pytest, as they do when run.py runs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
