"""Where `nats:` in the settings leads: what it needs is imported from here on, or missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.outputs.base import OutputUnusable

if TYPE_CHECKING:
    from logd.engine.base import Source, SourceSettings
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
