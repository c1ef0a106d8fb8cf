"""How large an item is to DynamoDB, and what writing it costs, by its published rules: a second opinion on its bill.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

UNIT = 1024
"""Bytes of a write unit."""


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item with strings, numbers and nulls: its names in UTF-8, and its values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def units(item: Mapping[str, Any]) -> int:
    """Write units for putting or deleting the item."""
    return -(-item_size(item) // UNIT)


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "NULL":
        return 1
    return _number_size(content) if kind == "N" else len(content.encode())


def _number_size(number: str) -> int:
    """A byte for two significant digits, zeros at both ends left out, one more, and one for a minus."""
    sign, digits, _ = Decimal(number).normalize().as_tuple()
    return (len(digits) + 1) // 2 + 1 + sign
