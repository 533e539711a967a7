"""The settings of a connection as text: the variables of the environment, and URLs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from logd_client.settingchecks import (
    CHECKS,
    check_bool,
    check_bytes,
    check_callable,
    check_hosts,
    check_optional_bool,
    check_optional_seconds,
    check_ports,
    check_seconds,
    check_static,
    refuse_unknown,
)

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["of_environment", "of_url"]

_SCHEMES = {"logd": False, "logds": True}
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def _of_text(setting: str, text: str) -> Any:
    """The value that a text stands for, not yet checked.

    Raises:
        ValueError: it stands for none.
    """
    check = CHECKS[setting]
    if check is check_ports:
        return tuple([int(number) for number in text.split(",")])
    if check is check_hosts:
        return tuple([host.strip() for host in text.split(",")])
    if check is check_bytes:
        return int(text)
    if check in (check_seconds, check_optional_seconds):
        return float(text)
    if check is check_static:
        return dict(_item(pair) for pair in text.split(",") if pair.strip())
    if check in (check_bool, check_optional_bool):
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    return text


def _item(pair: str) -> tuple[str, str]:
    key, is_there, value = pair.strip().partition("=")
    if not key or not is_there:
        raise ValueError(pair)
    return key, value


_BOOLS = "one of 1, true, yes, on, 0, false, no, off"
_EXPECTED: dict[Callable[[str, Any], Any], str] = {
    check_ports: "a port, or several with commas between",
    check_bytes: "a number of bytes",
    check_seconds: "a number of seconds",
    check_optional_seconds: "a number of seconds",
    check_static: "items as key=value with commas between",
    check_bool: _BOOLS,
    check_optional_bool: _BOOLS,
}


def _checked_text(name: str, setting: str, text: str) -> Any:
    """The checked value of a text that stands in the place `name`."""
    check = CHECKS[setting]
    try:
        value = _of_text(setting, text)
    except ValueError:
        raise ValueError(f"{name} {text!r}: expected {_EXPECTED[check]}") from None
    return check(name, value)


def of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that stand in variables; an empty one counts as not set."""
    found: dict[str, Any] = {}
    if url := environ.get("LOGD_URL"):
        found = of_url(url, "LOGD_URL")
    for setting, check in CHECKS.items():
        if check is check_callable:
            continue
        name = "LOGD_PORT" if setting == "ports" else f"LOGD_{setting.upper()}"
        text = environ.get(name, "")
        # Kubernetes gives a container LOGD_PORT=tcp://... if some service is called logd.
        if text and not (setting == "ports" and "://" in text):
            found[setting] = _checked_text(name, setting, text)
            if setting == "host":
                found.pop("hosts", None)  # the URL's
    return found


def of_url(url: str, name: str) -> dict[str, Any]:
    """The settings of `logd://:TOKEN@HOST:PORT?SETTING=VALUE`, or `logd:///SOCKET`.

    Several hosts have commas between: `logd://a:9801,b:9801`.
    """
    from urllib.parse import parse_qsl, unquote, urlsplit  # only for those that use one

    parts = urlsplit(url)
    wrong = _wrong_part(parts)
    hosts = parts.netloc.rpartition("@")[2]
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        port = None if "," in hosts else parts.port
    except ValueError as exc:
        wrong, pairs, port = wrong or str(exc), [], None
    if wrong:
        raise ValueError(f"{name}: URL with {wrong}")
    found: dict[str, Any] = {}
    if _SCHEMES[parts.scheme]:
        found["tls"] = True
    if "," in hosts:
        found["hosts"] = check_hosts(name, tuple(hosts.split(",")))
    elif parts.hostname:
        found["host"] = parts.hostname
    elif parts.path:
        found["socket"] = unquote(parts.path)
    if port is not None:
        found["ports"] = check_ports(name, port)
    if parts.password or parts.username:
        found["token"] = unquote(parts.password or parts.username or "")
    for key, text in pairs:
        if key.startswith("static."):
            found.setdefault("static", {})[key[len("static.") :]] = text
            continue
        refuse_unknown({key: text}, f"{name}: in the URL")
        if CHECKS[key] is check_callable:
            raise TypeError(f"{name}: in the URL {key!r}: expected as an argument only")
        found[key] = _checked_text(f"{name}: {key}", key, text)
    return found


def _wrong_part(parts: SplitResult) -> str:
    if parts.scheme not in _SCHEMES:
        return f"scheme {parts.scheme!r}, expected logd or logds (with TLS)"
    if parts.hostname and parts.path not in ("", "/"):
        return f"path {parts.path!r}, expected none; a Unix socket is logd:///run/logd.sock"
    return f"fragment {parts.fragment!r}, expected none; write # as %23" if parts.fragment else ""
