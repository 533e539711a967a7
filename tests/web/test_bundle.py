"""The page's modules as one script."""

from __future__ import annotations

from logd.web.bundle import bundled

MAIN = """// What it is.

import { a } from "./other.js";

/** One line. */
const url = "https://x"; // stays
/**
 * Several.
 * @param {string} b
 */
await f(/** @type {string} */ (a));
/** @type {number} */ (n).x = 1;
"""


def test_comments_stay_at_home() -> None:
    """Lines that are comments are left out, and nothing of the others."""
    script = bundled({"main": MAIN, "other": "// x\nexport const a = 1;\n"}, "main")
    assert script.split("\n") == [
        "const $other = (() => {",
        "const a = 1;",
        "return { a };",
        "})();",
        "",
        "const { a } = $other;",
        'const url = "https://x"; // stays',
        "await f(/** @type {string} */ (a));",
        "/** @type {number} */ (n).x = 1;",
    ]
