"""Pictures of the page's views in a folder, to be looked at: python -m tests.web.shots FOLDER."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.demo.history import write_history
from tests.web.conftest import NOW
from tests.web.serving import serving
from tests.web.test_browser import HERE, environment, node


def main() -> int:
    """Draw them; 0 if all could be drawn."""
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as log:
        pattern = Path(log) / "logd_%d.log"
        write_history(pattern, NOW, thinned=12)
        with serving(pattern) as page:
            more = {
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
