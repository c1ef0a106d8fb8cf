"""The table's stream at an emulator, read as Lambda reads it: each shard in order, a batch again until it is counted.

On AWS an event source mapping does this; the local run and the tests do it themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3

from chalicelib import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

Count = Callable[[Sequence[Mapping[str, Any]]], None]
"""Takes a batch of stream records, such as `DynamoStore.count`."""


class Stream:
    """The stream of `table` at `endpoint`, from its oldest record on. Each `Stream` keeps a place of its own."""

    def __init__(self, endpoint: str, table: str) -> None:
        self._endpoint = endpoint
        self._table = table
        self._places: dict[str, str | None] = {}

    @cached_property
    def _client(self) -> DynamoDBStreamsClient:
        way = {"region_name": aws.region(self._endpoint), **aws.credentials(self._endpoint)}
        return boto3.client("dynamodbstreams", endpoint_url=self._endpoint or None, **way)

    @cached_property
    def _arn(self) -> str:
        return self._client.list_streams(TableName=self._table)["Streams"][-1]["StreamArn"]

    def drain(self, count: Count) -> None:
        """Hand everything that is new to `count`. A batch for which it raises is handed over again next time."""
        while any(self._step(shard, count) for shard in self._shards()):
            pass

    def _shards(self) -> list[str]:
        """Older shards come first, so that a task's changes keep their order."""
        shards = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        return [shard["ShardId"] for shard in shards]

    def _step(self, shard: str, count: Count) -> bool:
        """Hand over the next batch of a shard. False when it had none."""
        if shard not in self._places:
            self._places[shard] = self._oldest(shard)
        place = self._places[shard]
        if place is None:  # it is closed, and read to its end
            return False
        reply = self._client.get_records(ShardIterator=place)
        if reply["Records"]:
            count(reply["Records"])
        self._places[shard] = reply.get("NextShardIterator")
        return bool(reply["Records"])

    def _oldest(self, shard: str) -> str:
        return self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
