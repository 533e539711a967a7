"""What the page asks for: searches, what is known of the log, saved views, live entries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from logd.web import saved
from logd.web.answers.groups import new_ones_first
from logd.web.answers.ledger import PENDING, Known
from logd.web.answers.wanted import moment
from logd.web.guard import error
from logd.web.live import stream
from logd.web.shared import Web, body_of, json_response, parameters_of, web_of
from logd.web.tasks import EXPORT_ENTRIES, Failed

MAX_EXPORTED = 100_000
"""Records of one download."""

EXPORT_TYPES = {
    "text": ("text/plain; charset=utf-8", "log"),
    "jsonl": ("application/jsonl", "jsonl"),
}


async def record_link(request: Request) -> Response:
    """A link to one record, for people to pass on."""
    return RedirectResponse(f"../?at={request.path_params['cursor']}", 307)


async def view_link(request: Request) -> Response:
    """A link to a saved view; the page asks for it again once somebody has signed in."""
    name = request.path_params["name"]
    web = web_of(request)
    if web.user(request) is None:
        return RedirectResponse(f"../#v={quote(name[:80], safe='')}", 307)
    for view in await asyncio.to_thread(saved.listed, web.folders):
        if view["name"] == name:
            return RedirectResponse(f"../{view['search']}", 307)
    return error(404, "no_view", f"there is no view {name[:80]!r}")


def task(name: str) -> Callable[[Request], Any]:
    """The route of a task that a worker does as it is."""

    async def answer(request: Request) -> Response:
        extra = {"cursor": [request.path_params["cursor"]]} if request.path_params else None
        return json_response(await web_of(request).run(request, name, extra))

    return answer


async def view(request: Request) -> Response:
    """What a search finds, with marks and losses of the whole log."""
    web = web_of(request)
    answer = await web.run(request, "view")
    return json_response(answer | _about_all(web, request, answer["from"], answer["to"]))


async def entries(request: Request) -> Response:
    """Records of the list; with `as` all that were found, as lines to be kept."""
    kind = request.query_params.get("as")
    if kind is None:
        return json_response(await web_of(request).run(request, "entries"))
    if kind not in EXPORT_TYPES:
        raise Failed(400, "bad_parameter", f"as: expected text or jsonl, got {kind[:40]!r}")
    web = web_of(request)
    user = web.user(request)
    # What can't be found is told before the download begins.
    first = await web.run(request, "export", {"place": [], "limit": []})
    assert user is not None  # noqa: S101 - `run` has refused the others

    async def pieces() -> AsyncIterator[bytes]:
        piece, left = first, MAX_EXPORTED
        while True:
            left -= len(piece["lines"])
            if piece["lines"]:
                yield ("\n".join(piece["lines"]) + "\n").encode("utf-8", "backslashreplace")
            if piece["place"] is None or not left:
                return
            more = {"place": [piece["place"]], "limit": [str(min(left, EXPORT_ENTRIES))]}
            asked = parameters_of(request) | more
            piece = await web.workers.run("export", asked, user.only)

    media_type, ending = EXPORT_TYPES[kind]
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="records.{ending}"',
    }
    return StreamingResponse(pieces(), media_type=media_type, headers=headers)


async def entry(request: Request) -> Response:
    """One record; with `as` all of its text, which the page shows a part of."""
    cursor = request.path_params["cursor"]
    answer = await web_of(request).run(request, "entry", {"cursor": [cursor]})
    if request.query_params.get("as") != "text":
        return json_response(answer)
    text = answer["text"].encode("utf-8", "backslashreplace")
    headers = {
        "cache-control": "no-store",
        "content-disposition": 'attachment; filename="record.log"',
    }
    return Response(text, media_type="text/plain; charset=utf-8", headers=headers)


async def known(request: Request) -> Response:
    """Marks, losses and the size of the whole log between two times."""
    web = web_of(request)
    if web.user(request) is None:
        raise Failed(401, "signed_out", "sign in first")
    parameters = parameters_of(request)
    since = moment(parameters, "from", time.time()) or 0.0
    until = moment(parameters, "to", time.time()) or time.time()
    return json_response(_about_all(web, request, since, until))


def _about_all(web: Web, request: Request, since: float, until: float) -> dict[str, Any]:
    """Marks, losses and the size of the whole log; nothing for users who may see only a part."""
    user = web.user(request)
    if user is not None and user.only:
        return PENDING | {"pending": False}
    known = web.known_soon()
    return PENDING if known is None else known.about(since, until)


async def tracebacks(request: Request) -> Response:
    """Tracebacks by their cause, new ones first."""
    web = web_of(request)
    answer = await web.run(request, "tracebacks")
    found = answer["groups"]
    _, is_pending = _judged(web, request, found)
    new_ones_first(found)
    why = next((group["why_unknown"] for group in found if group["why_unknown"]), "")
    answer["why_unknown"] = why and f"What is new is not known. {why}"
    return json_response(answer | {"pending": is_pending})


async def group(request: Request) -> Response:
    """The group that an entry belongs to, and the version that was running."""
    web = web_of(request)
    answer = await web.run(request, "group", {"cursor": [request.path_params["cursor"]]})
    known, is_pending = _judged(web, request, [answer["group"]] if answer["group"] else [])
    version = "" if known is None else known.version_at(answer["time"])
    return json_response(answer | {"version": version, "pending": is_pending})


def _judged(web: Web, request: Request, groups: list[dict[str, Any]]) -> tuple[Known | None, bool]:
    """Put into groups since when they are new; returns what is known, and whether more will be.

    Users who may see only a part of the log are told nothing of the rest: neither of deploys nor
    when others had the same error.
    """
    user = web.user(request)
    if user is not None and user.only:
        for found in groups:
            found["why_unknown"] = "You see a part of the log only."
        return None, False
    known = web.known_soon()
    if known is not None:
        for found in groups:
            known.judge(found)
    return known, known is None


async def about(request: Request) -> Response:
    """Who is signed in, and what the page shows of the log as such."""
    web = web_of(request)
    user = web.user(request)
    if user is None:
        raise Failed(401, "signed_out", "sign in first")
    try:
        answer = await web.run(request, "about")
    except Failed as exc:
        if exc.code != "no_log":
            raise
        answer = {"source": "", "first": None}
    answer |= {
        "user": user.name, "role": user.role, "host_names": web.names,
        "request_key": web.config.web_request_key, "source_link": web.config.web_source_link,
    }  # fmt: skip
    return json_response(answer)


async def status(request: Request) -> Response:
    """What the daemon says of itself."""
    web = web_of(request)
    if web.user(request) is None:
        raise Failed(401, "signed_out", "sign in first")
    status = await web.daemon_status()
    if status is None:
        return error(503, "daemon_away", "the daemon does not answer", "What is kept can be read.")
    # Senders are the operator's concern, not that of readers.
    return json_response(
        {key: value for key, value in status.items() if key not in ("connections", "peers")}
    )


async def command(request: Request) -> Response:
    """The command line that finds the same."""
    if web_of(request).user(request) is None:
        raise Failed(401, "signed_out", "sign in first")
    return json_response({"command": saved.command(parameters_of(request))})


async def views(request: Request) -> Response:
    """Saved views: all of them; saves or deletes one."""
    web = web_of(request)
    user = web.user(request)
    if user is None:
        raise Failed(401, "signed_out", "sign in first")
    name = request.path_params.get("name")
    if name is None:
        # Not in the loop: a folder may be slow, and an expression in a view may be long.
        found = await asyncio.to_thread(saved.listed, web.folders)
        return json_response({"views": found, "may_edit": user.may_edit})
    if not user.may_edit:
        raise Failed(403, "not_editor", "you may look, not save")
    try:
        if request.method == "PUT":
            search = (await body_of(request)).get("search")
            if not isinstance(search, str):
                raise Failed(400, "bad_parameter", "search: expected a text")
            await asyncio.to_thread(saved.save, web.folders[0], name, search)
        else:
            await asyncio.to_thread(saved.delete, web.folders[0], name)
    except saved.ViewError as exc:
        raise Failed(409, "view", str(exc)) from exc
    return Response(status_code=204, headers={"cache-control": "no-store"})


async def live(request: Request) -> Response:
    """New entries as they come, as server-sent events."""
    web = web_of(request)
    user = web.user(request)
    if user is None:
        raise Failed(401, "signed_out", "sign in first")
    web.check_streams(request, user)
    parameters = parameters_of(request)
    web.audit.tell(user, web.peer(request), "live", parameters)
    place = request.headers.get("last-event-id") or (parameters.pop("place", [""])[-1])

    async def follow(of: Mapping[str, Any]) -> dict[str, Any]:
        return await web.workers.run("follow", of, user.only)

    async def events() -> AsyncIterator[str]:
        with web.streaming(request, user):
            async for text in stream(follow, parameters, place, web.daemon_status):
                yield text

    headers = {
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "content-encoding": "identity",
    }
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
