"""docs/signing.md: its programs run against the product, and its vectors are what the product takes."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib import message_signature, world
from chalicelib.errors import Unauthorized, kinds_of
from chalicelib.signed_query import spellings
from chalicelib.task import evolve
from infra.local import server
from tests.house import House
from tests.signer import Signer

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "signing.md").read_text()
VECTORS = json.loads((DOCS / "signing-vectors.json").read_text())


def block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found[-1])


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[House, dict[str, str]]]:
    """The product behind a real server, closed, and the environment of a caller of it."""
    from app import app  # noqa: PLC0415 - the front door is imported where it is looked at

    house = House()
    house.clock.at = time.time()
    [asked] = re.findall(r"/v1/callers -H '[^']+' -d '(.*?)'", PAGE, re.DOTALL)
    status, made = house.call("create_caller", {**json.loads(asked), "networks": ["127.0.0.0/8"]})
    assert status == 201
    object.__setattr__(house.world, "settings", evolve(house.world.settings, open_api=False))
    monkeypatch.setattr(world, "current", lambda: house.world)
    with server.listen(0) as listener, server.serving(server.application(app, tmp_path), listener):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield house, {"KKBIDA_URL": url, "KKBIDA_KEY_ID": made["key_id"], "KKBIDA_SECRET": made["secret"]}


def run(command: list[str], environment: Mapping[str, str]) -> Any:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(command, env={**path, **environment}, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def programs(folder: Path) -> dict[str, list[str]]:
    (folder / "Submit.java").write_text(block("java"))
    (folder / "submit.js").write_text(block("js"))
    return {
        "shell": ["sh", "-c", block("sh")],
        "node": ["node", str(folder / "submit.js")],
        "java": ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(folder / "Submit.java")],
    }


@pytest.mark.parametrize("language", ["shell", "node", "java"])
def test_its_programs_submit_a_task(closed: tuple[House, dict[str, str]], tmp_path: Path, language: str) -> None:
    house, environment = closed
    answer = run(programs(tmp_path)[language], environment)
    task = house.world.store.get(answer["task_id"])
    assert task is not None
    assert (task.request.source_app, task.request.url) == ("orders", "https://partner.example/callback")
    assert answer.get("listed", 1) == 1


def test_with_another_secret_they_are_refused(closed: tuple[House, dict[str, str]], tmp_path: Path) -> None:
    house, environment = closed
    answer = run(programs(tmp_path)["shell"], {**environment, "KKBIDA_SECRET": "kks_another"})
    assert (answer["status"], answer["code"]) == (401, "signature_wrong")
    assert house.world.store.totals() == {}


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda vector: vector["name"])
def test_its_vectors_are_what_is_verified(vector: dict[str, Any]) -> None:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    parts = urlsplit(vector["url"])
    signature = message_signature.read(headers)
    values = {**headers, "@method": vector["method"], "@path": parts.path, "@authority": parts.netloc}
    query = parse_qs(parts.query, keep_blank_values=True)
    bases = [message_signature.base_of(signature, {**values, "@query": written}) for written in spellings(query)]
    assert vector["base"].encode() in bases
    signed = message_signature.sign(vector["secret"], vector["base"].encode())
    assert f"sig1=:{base64.b64encode(signed).decode()}:" == headers["signature"]
    if vector["body"] is not None:
        message_signature.check_digest(headers["content-digest"], vector["body"].encode())


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda vector: vector["name"])
def test_its_vectors_are_what_another_signer_makes(vector: dict[str, Any]) -> None:
    parts = urlsplit(vector["url"])
    own = {"signature", "signature-input", "content-type", "content-digest"}
    sent = Signer(key_id=vector["key_id"], secret=vector["secret"]).sign(
        vector["method"],
        parts.path,
        query=parts.query,
        body=(vector["body"] or "").encode(),
        created=vector["created"],
        nonce=vector["nonce"],
        headers={name.lower(): value for name, value in vector["headers"].items() if name.lower() not in own},
    )
    assert sent == {name.lower(): value for name, value in vector["headers"].items()}


def test_its_example_is_the_first_vector() -> None:
    assert block("text").strip() == VECTORS["requests"][0]["base"]


def test_it_names_every_way_in_which_a_request_is_not_let_in() -> None:
    told = set(re.findall(r"^\| 401 `(\w+)` \|", PAGE, re.MULTILINE))
    assert {"unauthorized", "signature_wrong"} < told <= {refusal.code for refusal in kinds_of(Unauthorized)}
