"""python -m tests.fuzz: see run.py, a module of its own because spawned processes import it by its name."""

import os
import sys

# Before pyarrow is imported: its own allocators reserve more than a case may take.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

from tests.fuzz.run import main  # noqa: E402

sys.exit(main())
