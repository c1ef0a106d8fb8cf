"""How large an item is to DynamoDB, and what writing or reading it costs, by its published rules.

For writes it is a second opinion on an emulator's bill. For reads it is the only one: those are not billed right.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Item = Mapping[str, Any]
"""An item as DynamoDB speaks: attribute -> {type: value}."""

Bill = dict[str, float]
"""Write units by where they go: `table`, and indexes."""

UNIT = 1024
"""Bytes of a write unit."""

READ_UNIT = 4096
"""Bytes of a read unit."""


def item_size(item: Item) -> int:
    """Bytes of an item with strings, numbers, booleans and nulls: its names in UTF-8, and its values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def units(item: Item) -> int:
    """Write units for putting or deleting the item."""
    return -(-item_size(item) // UNIT)


def read_units(request: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """What a get, a batch of gets or a query costs whose reply holds all that was read: no projection, no filter.

    The items of a query are added up before they are rounded. It costs half where it may be outdated.
    """
    tables = request.get("RequestItems", {}).values() or [request]
    consistent = any(table.get("ConsistentRead") for table in tables)
    return sum(max(1, -(-piece // READ_UNIT)) for piece in _pieces(found)) * (1 if consistent else 0.5)


def _pieces(found: Mapping[str, Any]) -> list[int]:
    if "Items" in found:
        return [sum(map(item_size, found["Items"]))]
    if "Responses" in found:
        return [item_size(item) for items in found["Responses"].values() for item in items]
    return [item_size(found.get("Item", {}))]


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind in ("NULL", "BOOL"):
        return 1
    return _number_size(content) if kind == "N" else len(content.encode())


def _number_size(number: str) -> int:
    """A byte for two significant digits, zeros at both ends left out, one more, and one for a minus."""
    sign, digits, _ = Decimal(number).normalize().as_tuple()
    return (len(digits) + 1) // 2 + 1 + sign


def write_units(old: Item | None, new: Item | None, indexes: Mapping[str, tuple[str, str]]) -> Bill:
    """What it costs to make item `new` of item `old` (None: there is none), with indexes that hold keys only.

    The table takes the larger of both. An index takes nothing while its entry stays the same, one write for an
    entry that comes or goes, and both when its key changes.
    """
    bill: Bill = {"table": max(units(item) for item in (old, new) if item)}
    for name, keys in indexes.items():
        before, after = _entry(old, keys), _entry(new, keys)
        if before != after:
            bill[name] = sum(units(entry) for entry in (before, after) if entry)
    return bill


def _entry(item: Item | None, keys: tuple[str, str]) -> Item | None:
    """The item's entry in an index; None when it lacks a key of it."""
    if item is None or not all(key in item for key in keys):
        return None
    return {name: item[name] for name in ("pk", "sk", *keys)}
