"""Pictures of the page's views and states in a folder, to be looked at.

python -m tests.web.shots FOLDER [picture]: all of them, or only the one of the README.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.demo.history import write_history
from tests.web.conftest import NAMES, NOW
from tests.web.serving import serving
from tests.web.test_browser import HERE, environment, node


def main() -> int:
    """Draw them; 0 if all could be drawn."""
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "logs"
        pattern = log / "logd_%d.log"
        write_history(pattern, NOW, thinned=12)
        nothing = log / "nothing" / "logd_%d.log"
        nothing.parent.mkdir()
        with serving(pattern, "--web-host-names", NAMES) as page, serving(nothing) as empty:
            # A record of a file that is no more: as if a ring had come round.
            passing = log / "logd_99.log"
            first = min(log.glob("logd_*.log"))
            shutil.copy(first, passing)
            gone = page.get("/api/1/entries?first=1&limit=1").json["entries"][0]["at"]
            passing.unlink()
            more = {
                "LOGD_GONE": gone,
                "LOGD_SHOTS_ONLY": "".join(sys.argv[2:3]),
                "LOGD_EMPTY_LINK": empty.link.partition("#")[0],
                "LOGD_EMPTY_COOKIE": empty.cookie,
                "LOGD_SHOTS": str(folder),
                "LOGD_INCIDENT_PATH": f"/?from={int(NOW - 9000)}&to={int(NOW - 4600)}",
                "LOGD_WEB_PATH": f"/?from={int(NOW - 9000)}&to={int(NOW)}",
            }
            done = subprocess.run(
                node(str(HERE / "shots.mjs")), env=environment(page, **more), check=False
            )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
