"""python -m farpoint."""

import sys

from farpoint.cli import main

if __name__ == "__main__":
    sys.exit(main())
