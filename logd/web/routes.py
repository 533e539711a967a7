"""What the page asks for: searches, what is known of the log, saved views, live entries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from logd.web import saved
from logd.web.answers.groups import new_ones_first
from logd.web.answers.ledger import PENDING
from logd.web.answers.wanted import moment
from logd.web.guard import error
from logd.web.live import stream
from logd.web.shared import Web, body_of, json_response, parameters_of, web_of
from logd.web.tasks import EXPORT_ENTRIES, Failed

MAX_STREAMS = 64
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
    """A link to a saved view."""
    name = request.path_params["name"]
    for view in saved.listed(web_of(request).folders):
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
    known = web.known_soon()
    found = answer["groups"]
    if known is not None:
        for group in found:
            known.judge(group)
        new_ones_first(found)
    why = next((group["why_unknown"] for group in found if group["why_unknown"]), "")
    answer["why_unknown"] = why and f"What is new is not known. {why}"
    return json_response(answer | {"pending": known is None})


async def group(request: Request) -> Response:
    """The group that an entry belongs to."""
    web = web_of(request)
    answer = await web.run(request, "group", {"cursor": [request.path_params["cursor"]]})
    known = web.known_soon()
    if known is not None and answer["group"] is not None:
        known.judge(answer["group"])
    return json_response(answer | {"pending": known is None})


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
        return json_response({"views": saved.listed(web.folders), "may_edit": user.may_edit})
    if not user.may_edit:
        raise Failed(403, "not_editor", "you may look, not save")
    try:
        if request.method == "PUT":
            search = (await body_of(request)).get("search")
            if not isinstance(search, str):
                raise Failed(400, "bad_parameter", "search: expected a text")
            saved.save(web.folders[0], name, search)
        else:
            saved.delete(web.folders[0], name)
    except saved.ViewError as exc:
        raise Failed(409, "view", str(exc)) from exc
    return Response(status_code=204, headers={"cache-control": "no-store"})


async def live(request: Request) -> Response:
    """New entries as they come, as server-sent events."""
    web = web_of(request)
    user = web.user(request)
    if user is None:
        raise Failed(401, "signed_out", "sign in first")
    if web.streams >= MAX_STREAMS:
        raise Failed(503, "too_many", f"more than {MAX_STREAMS} pages follow the log")
    parameters = parameters_of(request)
    web.tell(request, user, "live", parameters)
    place = request.headers.get("last-event-id") or (parameters.pop("place", [""])[-1])

    async def follow(of: Mapping[str, Any]) -> dict[str, Any]:
        return await web.workers.run("follow", of, user.only)

    async def is_there() -> bool:
        return await web.daemon_status() is not None

    async def events() -> AsyncIterator[str]:
        web.streams += 1
        try:
            async for text in stream(follow, parameters, place, is_there):
                yield text
        finally:
            web.streams -= 1

    headers = {
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "content-encoding": "identity",
    }
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
