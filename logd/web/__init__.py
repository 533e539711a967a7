"""A team looks at its log in the browser: `logd web`, or mounted in a site of its own.

    from logd.web import app        # an ASGI application, for the settings that LOGD_CONFIG names
    from logd.web import behind     # the same behind the login of a site, see `mounting.py`

Mounted it asks nobody who they are: the site around it has a login of its own. By itself
(`logd web`) it is safe by default; `guard.py` and `sessions.py` say how.

- `application.py` has the paths, `routes.py` what they answer, `shared.py` what answers share;
  `server.py` runs it; `guard.py` is what each request has to pass; `signin.py`, `sessions.py` and
  `users.py` say who somebody is; `live.py` is the stream of new records;
- `workers.py` the processes that read the log, so that no search ever stops the server;
  `worker.py` is such a process, `tasks.py` what it can be asked;
- `answers/` makes the answers out of the query library; `static/` is the page.

It only reads: files, tables, and the daemon's status by its feed socket.
"""

from __future__ import annotations

from typing import Any

from logd.web.sessions import User

__all__ = ["User", "app", "behind"]


def __getattr__(name: str) -> Any:
    # Made when it is asked for: it reads settings, and needs the extra `logd[web]`.
    if name == "app":
        from logd.web.application import mounted_application

        return mounted_application()
    if name == "behind":
        from logd.web.mounting import behind

        return behind
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
