"""The entry points behind `nats:` in the settings: they import the engine's parts when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.outputs.base import OutputUnusable

if TYPE_CHECKING:
    from logd.engine.base import Source, SourceSettings
    from logd.engine.following import EngineFollower
    from logd.outputs.base import Output, OutputSettings

MISSING = "needs the package nats-py: pip install 'logd[nats]'"


def engine_output(address: str, settings: OutputSettings) -> Output:
    """The output `nats:ADDRESS`.

    Raises:
        OutputUnusable: the address can't be used, or a package is missing.
    """
    try:
        from logd.engine.output import EngineOutput
    except ModuleNotFoundError as exc:
        raise OutputUnusable(MISSING) from exc
    return EngineOutput(address, settings)


def engine_source(address: str, settings: SourceSettings) -> Source:
    """The source `nats:ADDRESS`.

    Raises:
        OutputUnusable: the address can't be used, or a package is missing.
    """
    try:
        from logd.engine.source import EngineSource
    except ModuleNotFoundError as exc:
        raise OutputUnusable(MISSING) from exc
    return EngineSource(address, settings)


def engine_follower(spec: str, timestamp: str | None) -> EngineFollower:
    """What follows the source `nats:ADDRESS`, not opened.

    Raises:
        OutputUnusable: the address can't be used, or a package is missing.
    """
    name, _, address = spec.partition(":")
    if name != "nats":
        raise OutputUnusable('expected "nats:" and the URL of an engine')
    try:
        from logd.engine.following import EngineFollower
        from logd.engine.source import EngineSource
    except ModuleNotFoundError as exc:
        raise OutputUnusable(MISSING) from exc
    from logd.engine.base import SourceSettings

    # A reader needs no promise.
    source = EngineSource(address, SourceSettings(durable="lazy"), follows=True)
    return EngineFollower(source, timestamp)
