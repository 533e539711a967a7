"""`python -m logd`: the same as the command `logd`."""

from __future__ import annotations

import sys

from logd.cli import main

if __name__ == "__main__":
    sys.exit(main())
