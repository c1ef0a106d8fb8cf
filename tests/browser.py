"""A browser, as far as the API can tell: it keeps cookies, and a page that keeps the session's CSRF token."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from chalicelib import admin, api
from chalicelib.api import ROUTES
from chalicelib.auth import Identity
from chalicelib.call import Call
from tests.declared import assert_declared
from tests.house import House

PASSWORD = "correct horse battery"
HERE = "192.0.2.7"


def hire(house: House, name: str = "root", role: str = "admin", password: str = PASSWORD) -> None:
    """Make an operator, as the command does."""
    admin.create_operator(house.world, Identity("command", ""), {"name": name, "role": role, "password": password})


@dataclass
class Browser:
    """`cookies`: name -> value; `set_cookies`: as they came with the last answer."""

    house: House
    address: str = HERE
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    def ask(self, view: str, body: Any = None, **path: str) -> tuple[int, Any]:
        """The status and the JSON of an answer, which is as it is declared."""
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        sent |= {"x-csrf-token": self.csrf} if ROUTES[view].method != "GET" else {}
        raw = b"" if body is None else json.dumps(body).encode()
        call = Call(path=path, headers=sent, body=raw, address=self.address, query=self._query(view))
        answer = api.answer(self.house.world, view, call)
        assert_declared(view, answer)
        self._keep(answer)
        return answer.status, answer.body

    def _query(self, view: str) -> dict[str, list[str]]:
        return {"target": ["https://partner.example:443"]} if view == "change_target" else {}

    def _keep(self, answer: api.Answer) -> None:
        came = answer.headers.get("Set-Cookie", [])
        self.headers = {name: str(value) for name, value in answer.headers.items()}
        self.set_cookies = [came] if isinstance(came, str) else [*came]
        for cookie in self.set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in cookie:
                del self.cookies[name]

    def log_in(self, name: str = "root", password: str = PASSWORD) -> tuple[int, Any]:
        status, answer = self.ask("log_in", {"name": name, "password": password})
        if status == 200:
            self.csrf = answer["csrf_token"]
        return status, answer

    def read_csrf(self) -> None:
        """As a page does that is loaded again."""
        self.csrf = self.ask("me")[1]["csrf_token"]
