"""New records as they are written: server-sent events, with the place in the log as their ids.

The log itself is read on from the place that the browser has reached. So nothing is lost or
repeated between the history and what is new, even if the daemon, this server or the connection is
restarted (`Last-Event-ID`). Whether the daemon runs is told beside.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from logd.web.tasks import LIVE_ENTRIES, Failed

LOOK_S = 0.2
"""How often the log is looked at while it grows."""

IDLE_LOOK_S = 0.4
MESSAGE_S = 0.1
"""At most ten messages a second."""

BEHIND_S = 0.5
"""How often while there are more than can be shown: nobody reads a thousand a second."""

COMMENT_S = 15.0
"""A sign of life, so that proxies do not close what is silent."""

DAEMON_LOOK_S = 2.0

Follow = Callable[[Mapping[str, Sequence[str]]], Awaitable[dict[str, Any]]]


def event(name: str, data: object, identity: str = "") -> str:
    """One event as the wire has it."""
    head = f"id: {identity}\n" if identity else ""
    kind = f"event: {name}\n" if name != "message" else ""
    return f"{head}{kind}data: {json.dumps(data, separators=(',', ':'))}\n\n"


async def stream(
    follow: Follow,
    parameters: Mapping[str, Sequence[str]],
    place: str,
    daemon_status: Callable[[], Awaitable[Mapping[str, Any] | None]],
) -> AsyncIterator[str]:
    """Events for as long as somebody listens.

    Args:
        follow: reads on; takes the parameters of the request and a `place`.
        parameters: the selection.
        place: where the browser is; "" for the end of the log.
        daemon_status: what the daemon says of itself; None if it does not answer.
    """
    loop = asyncio.get_running_loop()
    said = looked = 0.0
    state = ""
    while True:
        now = loop.time()
        if not looked or now - looked >= DAEMON_LOOK_S:
            looked = now
            status = await daemon_status()
            fresh = "live" if status is not None else "away"
            if fresh != state and state != "behind":
                state = fresh
                yield _state(state)
                said = now
        try:
            answer = await follow({**parameters, "place": [place]})
        except Failed as exc:
            if exc.status not in (404, 410) and exc.code != "too_slow":
                yield event("state", {"name": "away", "text": str(exc)})
                await asyncio.sleep(DAEMON_LOOK_S)
                continue
            # What was there is overwritten, or can't be searched: go on from the end, and say so.
            # What is too slow is not tried again on the same records: everybody would wait.
            place = await _end(follow, parameters)
            yield event("gap", {"skipped": 0}, place)
            continue
        for text in _events(answer):
            yield text
            said = now
        if answer["skipped"]:
            state = "behind"
            yield _state(state, _rate(await daemon_status()))
        elif state == "behind" and len(answer["entries"]) < LIVE_ENTRIES:
            # Every record is shown again; what the daemon does is told at once.
            state, looked = "", 0.0
        place = answer["place"]
        if answer["skipped"]:
            await asyncio.sleep(BEHIND_S)
            continue
        if len(answer["entries"]) >= LIVE_ENTRIES or answer.get("more"):
            await asyncio.sleep(MESSAGE_S)
            continue
        if now - said >= COMMENT_S:
            yield ": still here\n\n"
            said = now
        await asyncio.sleep(LOOK_S if answer["entries"] else IDLE_LOOK_S)


async def _end(follow: Follow, parameters: Mapping[str, Sequence[str]]) -> str:
    """The end of the log, as soon as it can be told."""
    without = {name: values for name, values in parameters.items() if name != "after"}
    while True:
        with suppress(Failed):
            place: str = (await follow({**without, "place": [""]}))["place"]
            return place
        await asyncio.sleep(DAEMON_LOOK_S)


def _events(answer: Mapping[str, Any]) -> list[str]:
    """What is told of an answer: what was left out, then records."""
    # Without an id: the records are not there yet.
    found = [event("gap", {"skipped": answer["skipped"]})] if answer["skipped"] else []
    if answer["entries"]:
        found.append(event("message", answer["entries"], answer["place"]))
    return found


def _state(name: str, rate: str = "too many records") -> str:
    texts = {
        "live": "live from the daemon",
        "away": "the daemon does not run; reading what is kept",
        "behind": f"{rate} to show each; all of them are in the log",
    }
    return event("state", {"name": name, "text": texts[name]})


def _rate(status: Mapping[str, Any] | None) -> str:
    """How much the daemon brings, in words."""
    per_s = (status or {}).get("records_per_s", {}).get("10", 0)
    return f"{per_s:,.0f} records a second, too many" if per_s >= 1 else "too many records"
