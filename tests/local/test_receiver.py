"""The flaky receiver, over real HTTP: each URL does what its page says."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from infra.local import receiver
from tests.local.conftest import Ask, asking, receiving


def deliver(partner: Ask, path: str, task: str = "t1", method: str = "POST") -> tuple[int, str]:
    reply = partner(method, path, b'{"n": 1}', {"webhook-id": task})
    return reply.status, reply.body.decode()


def received(partner: Ask, query: str = "") -> list[Mapping[str, Any]]:
    return list(partner("GET", f"/received{query}").json["received"])


def test_ok_says_success(partner: Ask) -> None:
    assert deliver(partner, "/ok") == (200, "success")


def test_fail_counts_each_task_for_itself(partner: Ask) -> None:
    first = [deliver(partner, "/fail/2", "first")[0] for _ in range(4)]
    assert first == [503, 503, 200, 200]
    assert deliver(partner, "/fail/2", "second")[0] == 503


def test_fail_counts_each_url_for_itself(partner: Ask) -> None:
    assert [deliver(partner, path)[0] for path in ("/fail/1", "/fail/2", "/fail/1", "/fail/2")] == [503, 503, 200, 503]


def test_a_wrong_body_comes_with_status_200(partner: Ask) -> None:
    status, body = deliver(partner, "/wrong-body")
    assert (status, "success" in body) == (200, False)


@pytest.mark.parametrize("code", [200, 204, 304, 404, 500, 599])
def test_any_status_can_be_had(partner: Ask, code: int) -> None:
    assert deliver(partner, f"/status/{code}")[0] == code


def test_a_redirect_points_to_ok(partner: Ask) -> None:
    reply = partner("POST", "/redirect", b"")
    assert (reply.status, reply.headers["Location"]) == (302, "/ok")


def test_busy_asks_once_to_come_back_later(partner: Ask) -> None:
    reply = partner("POST", "/busy/3", b"", {"webhook-id": "t1"})
    assert (reply.status, reply.headers["Retry-After"]) == (429, "3")
    assert deliver(partner, "/busy/3")[0] == 200


def test_cut_closes_without_a_word(partner: Ask) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        deliver(partner, "/cut")


def test_hang_is_silent_at_first(partner: Ask) -> None:
    began = time.monotonic()
    assert deliver(partner, "/hang/0.2") == (200, "success")
    assert time.monotonic() - began >= 0.2


def test_drip_sends_the_head_at_once_and_the_body_bit_by_bit() -> None:
    with receiving() as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /drip/0.3 HTTP/1.1\r\nHost: x\r\n\r\n")
        pieces = iter(lambda: connection.recv(4096), b"")
        head = next(pieces)
        assert head.endswith(b"\r\n\r\n")
        assert [next(pieces) for _ in b"success"] == [bytes([byte]) for byte in b"success"]


def test_large_is_as_large_as_asked(partner: Ask) -> None:
    assert len(deliver(partner, "/large/200001")[1]) == 200_001


def test_random_fails_about_the_share_that_was_asked_for(partner: Ask) -> None:
    fates = [deliver(partner, "/random/20?seed=7", f"task-{n}")[0] for n in range(300)]
    assert 30 < fates.count(503) < 90


def test_random_with_a_seed_repeats_itself(partner: Ask) -> None:
    def run(seed: int) -> list[int]:
        partner("DELETE", "/received")
        return [deliver(partner, f"/random/50?seed={seed}", f"task-{n % 20}")[0] for n in range(60)]

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize(("percent", "status"), [(0, 200), (100, 503)])
def test_random_has_honest_ends(partner: Ask, percent: int, status: int) -> None:
    assert {deliver(partner, f"/random/{percent}")[0] for _ in range(20)} == {status}


@pytest.mark.parametrize(
    ("path", "errcode"), [("/dingtalk", 0), ("/dingtalk/130101", 130101), ("/wecom", 0), ("/wecom/45009", 45009)]
)
def test_a_robot_answers_200_and_means_its_errcode(partner: Ask, path: str, errcode: int) -> None:
    reply = partner("POST", path, b"{}")
    assert (reply.status, reply.json["errcode"]) == (200, errcode)


def test_dingtalk_checks_the_signature_when_it_knows_the_secret(partner: Ask) -> None:
    # From DingTalk's rule, worked out once with openssl: HMAC-SHA256 of "1700000000000\nSECx" under "SECx".
    sign = quote("rgcjbH+yFyES+S0llX+cAPCwVRpsr7sbiX5Lnyo/ocU=", safe="")
    signed = f"/dingtalk?secret=SECx&timestamp=1700000000000&sign={sign}"
    assert partner("POST", signed, b"{}").json["errcode"] == 0
    assert partner("POST", signed.replace("170", "171"), b"{}").json["errcode"] == 310000
    assert partner("POST", "/dingtalk?secret=SECx", b"{}").json["errcode"] == 310000


@pytest.mark.parametrize(
    "path", ["/nothing", "/fail/many", "/fail/-1", "/hang/nan", "/status/99", "/random/101", "/received?since=noon"]
)
def test_what_is_not_on_the_page_is_not_found(partner: Ask, path: str) -> None:
    assert partner("GET", path).status == 404


def test_every_behaviour_is_on_the_page(partner: Ask) -> None:
    page = partner("GET", "/").body.decode()
    assert [name for name in receiver.BEHAVIOURS if f"  /{name}" not in page and f" /{name}/" not in page] == []


# ── the memory ───────────────────────────────────────────────────────────────────────────────────


def test_it_remembers_the_request_in_full(partner: Ask) -> None:
    partner("PUT", "/ok/%E5%BF%85?a=1&b=%20", "必达".encode(), {"webhook-id": "t1", "X-Order": "42"})
    (request,) = received(partner)
    assert (request["method"], request["path"], request["query"]) == ("PUT", "/ok/必", {"a": "1", "b": " "})
    assert (request["webhook_id"], request["headers"]["x-order"], request["body"]) == ("t1", "42", "必达")


def test_a_body_that_is_not_text_is_remembered_too(partner: Ask) -> None:
    partner("POST", "/ok", b"\xff\x00")
    assert received(partner)[0]["body_base64"] == "/wA="


def test_the_memory_can_be_searched(partner: Ask) -> None:
    for path, task in (("/ok", "t1"), ("/fail/1", "t1"), ("/ok", "t2")):
        deliver(partner, path, task)
    times = [request["at"] for request in received(partner)]
    assert times == sorted(times)
    assert [request["path"] for request in received(partner, "?webhook_id=t1")] == ["/ok", "/fail/1"]
    assert [request["webhook_id"] for request in received(partner, "?path=/ok")] == ["t1", "t2"]
    assert len(received(partner, f"?since={times[-1]}")) == len([at for at in times if at >= times[-1]])


def test_counts_are_kept_for_each_task(partner: Ask) -> None:
    for path, task in (("/ok", "t1"), ("/fail/1", "t1"), ("/ok", "t2")):
        deliver(partner, path, task)
    assert partner("GET", "/counts").json["counts"] == {"t1": 2, "t2": 1}
    assert partner("GET", "/counts?path=/fail").json["counts"] == {"t1": 1}


def test_forgetting_starts_the_counts_anew(partner: Ask) -> None:
    deliver(partner, "/fail/1")
    assert partner("DELETE", "/received").status == 204
    assert received(partner) == []
    assert deliver(partner, "/fail/1")[0] == 503


def test_reading_the_memory_leaves_no_trace_in_it(partner: Ask) -> None:
    received(partner)
    partner("GET", "/counts")
    assert received(partner) == []


def incoming(task: str, body: bytes = b"") -> receiver.Incoming:
    return receiver.Incoming(0, "POST", "/ok", (("webhook-id", task),), body)


def test_the_oldest_requests_are_forgotten_first() -> None:
    memory = receiver.Memory()
    for n in range(receiver.MOST_REQUESTS + 2):
        memory.add(incoming(str(n)))
    assert (len(memory.requests), memory.requests[0].webhook_id) == (receiver.MOST_REQUESTS, "2")


def test_large_bodies_are_forgotten_sooner() -> None:
    memory = receiver.Memory()
    half = bytes(receiver.MOST_BYTES // 2)
    for n in range(3):
        memory.add(incoming(str(n), half))
    assert [each.webhook_id for each in memory.requests] == ["1", "2"]
    assert memory.counts[("0", "/ok")] == 1


# ── on the wire ──────────────────────────────────────────────────────────────────────────────────


def test_a_connection_is_kept_for_the_next_request() -> None:
    with receiving() as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for path in ("/ok", "/status/204", "/large/100000", "/status/500", "/ok"):
            connection.request("POST", path, b"x")
            connection.getresponse().read()
            assert connection.sock is not None
        connection.close()


def test_head_gets_the_length_and_no_body(partner: Ask) -> None:
    reply = partner("HEAD", "/ok")
    assert (reply.status, reply.headers["Content-Length"], reply.body) == (200, "7", b"")


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_not_http_is_cut_off_and_the_next_client_served(noise: bytes) -> None:
    with receiving() as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(noise)
            assert connection.recv(100) == b""
        assert asking(port)("GET", "/ok").status == 200


def test_it_stops_with_a_client_still_hanging() -> None:
    with socket.socket() as connection:
        connection.settimeout(10)
        with receiving() as port:
            connection.connect(("127.0.0.1", port))
            connection.sendall(b"GET /hang/600 HTTP/1.1\r\n\r\n")
            while not received(asking(port)):
                continue
        assert connection.recv(100) == b""
