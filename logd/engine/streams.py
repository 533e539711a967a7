"""The streams of an engine: one for each partition, made by the first writer.

How many partitions there are is fixed for the life of the streams, and stands in their metadata:
with another number a session would go to another partition, and its records be written twice.
"""

from __future__ import annotations

from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from logd.engine.address import EngineAddress
from logd.outputs.base import OutputUnavailable, OutputUnusable

PARTITIONS = "logd.partitions"
FORMAT = "logd.format"
VERSION = "1"

_NAME_IN_USE = 10058


async def ensure_streams(client: Client, address: EngineAddress) -> None:
    """See that there is a stream for each partition, as logd needs it; make those that miss.

    Raises:
        OutputUnusable: one is something else, or can't be made.
        nats.errors.Error: the engine is away.
    """
    count = len(address.partitions)
    for partition in address.partitions:
        config = StreamConfig(
            name=address.stream_of(partition),
            subjects=[address.subject_of(partition)],
            description="records on their way to the stores of logd",
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            max_bytes=address.max_bytes,
            num_replicas=address.replicas,
            metadata={PARTITIONS: str(count), FORMAT: VERSION},
        )
        info = await _found(client, address, partition)
        if info is None:
            try:
                info = await client.jetstream().add_stream(config)
            except APIError as exc:
                if exc.err_code != _NAME_IN_USE:
                    raise _not_made(exc, address, partition) from exc
                # Another daemon was faster, with other options.
                info = await _found(client, address, partition)
        if info is not None:
            check_stream(info, address, count)


async def find_stream(client: Client, address: EngineAddress, partition: int) -> StreamInfo:
    """The stream of a partition that a store reads.

    Raises:
        OutputUnavailable: it is not there yet.
        OutputUnusable: it is something else, or there are fewer partitions.
        nats.errors.Error: the engine is away.
    """
    info = await _found(client, address, partition)
    if info is None:
        first = await _found(client, address, 0)
        if first is not None and partition >= _partitions_of(first):
            raise OutputUnusable(
                f"there is no partition {partition}: {address.stream} has "
                f"{_partitions_of(first)}, numbered from 0 on"
            )
        raise OutputUnavailable(
            f"stream {address.stream_of(partition)} is not there yet: the first daemon that "
            "writes to the engine makes it"
        )
    check_stream(info, address, None)
    return info


def check_stream(info: StreamInfo, address: EngineAddress, partitions: int | None) -> None:
    """See that a stream keeps what it is given until a store has it.

    Raises:
        OutputUnusable: it does not, or has another number of partitions than the settings.
    """
    config, name = info.config, info.config.name
    if PARTITIONS not in (config.metadata or {}):
        raise OutputUnusable(f"stream {name} was not made by logd: choose another name (stream)")
    found = _partitions_of(info)
    if partitions not in (None, found):
        raise OutputUnusable(
            f"{address.stream} has {found} partitions, and the settings say {partitions}: the "
            "number is fixed as long as the streams are there"
        )
    loses = (
        config.discard != DiscardPolicy.NEW
        or config.retention != RetentionPolicy.LIMITS
        or config.max_age
        or config.storage != StorageType.FILE
    )
    if loses:
        raise OutputUnusable(
            f"stream {name} was changed so that it may drop what no store has: it needs "
            "discard=new, retention=limits, storage=file, and no max_age"
        )


def _partitions_of(info: StreamInfo) -> int:
    text = (info.config.metadata or {}).get(PARTITIONS, "")
    return int(text) if text.isdigit() else 0


async def _found(client: Client, address: EngineAddress, partition: int) -> StreamInfo | None:
    try:
        return await client.jetstream().stream_info(address.stream_of(partition))
    except NotFoundError:
        return None


def _not_made(
    exc: APIError, address: EngineAddress, partition: int
) -> OutputUnusable | OutputUnavailable:
    text = f"can't make stream {address.stream_of(partition)}: {exc.description}"
    match exc.err_code:
        case 10074:
            return OutputUnusable(f"{text}: one server alone needs the option replicas=1")
        case 10047 | 10028 | 10023:
            return OutputUnusable(
                f"{text}: {len(address.partitions)} streams of {address.max_bytes} bytes each are "
                "more than the engine may use: lower the option max_bytes"
            )
    return OutputUnavailable(text)
