"""A request as it came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the front door hands over. Header names are in lower case; `query` keeps every value of a name, decoded.

    `path` holds the ids in the path, `url_path` all of it as it was sent; on AWS that begins with the stage, such as
    `/prod`. `address`: where the connection came from, never what a header says.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    address: str = ""
    request_id: str = ""
    url_path: str = ""
