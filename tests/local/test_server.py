"""The local HTTP server: what a request looks like to the app, and who is let in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event, Timer

import pytest
from chalice.app import Chalice

from infra.local import gateway, server
from tests.local.conftest import Ask, asking, serving, small_app

# ── the event ────────────────────────────────────────────────────────────────────────────────────


def test_an_encoded_slash_stays_inside_its_path_parameter(ask: Ask) -> None:
    assert ask("GET", "/v1/tasks/a%2Fb%20%E5%BF%85").json["task_id"] == "a/b 必"


def test_a_written_out_path_goes_before_a_parameter(ask: Ask) -> None:
    assert ask("GET", "/v1/tasks/newest").body == b"newest"


def test_a_slash_at_the_end_is_overlooked(ask: Ask) -> None:
    assert ask("GET", "/v1/tasks/t1/").json["task_id"] == "t1"


def test_every_value_of_a_query_name_arrives_and_the_last_one_alone_too(ask: Ask) -> None:
    event = ask("GET", "/v1/tasks?status=pending&status=retrying&q=&city=%E4%B8%8A%E6%B5%B7").json
    assert event["multiValueQueryStringParameters"] == {
        "status": ["pending", "retrying"],
        "q": [""],
        "city": ["上海"],
    }
    assert event["queryStringParameters"] == {"status": "retrying", "q": "", "city": "上海"}


def test_without_a_query_there_is_none(ask: Ask) -> None:
    event = ask("GET", "/v1/tasks").json
    assert event["queryStringParameters"] is None
    assert event["multiValueQueryStringParameters"] is None


def test_the_event_says_what_api_gateway_says(ask: Ask) -> None:
    event = ask("POST", "/v1/tasks?limit=1", b"{}", {"Content-Type": "application/json", "Idempotency-Key": "k"}).json
    assert (event["path"], event["httpMethod"], event["resource"]) == ("/v1/tasks", "POST", "/v1/tasks")
    assert (event["body"], event["isBase64Encoded"]) == ("{}", False)
    assert event["headers"]["Idempotency-Key"] == "k"
    assert event["multiValueHeaders"]["Content-Type"] == ["application/json"]
    context = event["requestContext"]
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert (context["path"], context["stage"]) == ("/v1/tasks", "local")


def test_each_request_has_an_id_of_its_own(ask: Ask) -> None:
    first, second = (ask("GET", "/v1/tasks").json["requestContext"]["requestId"] for _ in range(2))
    assert first != second


def test_a_body_that_is_not_utf_8_reaches_the_app_byte_for_byte(ask: Ask) -> None:
    raw = bytes(range(256))
    assert ask("POST", "/v1/raw", raw, {"Content-Type": "application/json"}).json == {"hex": raw.hex()}


def test_a_body_of_a_binary_type_travels_in_base64(ask: Ask) -> None:
    event = ask("POST", "/v1/tasks", b"text, really", {"Content-Type": "image/png"}).json
    assert (event["body"], event["isBase64Encoded"]) == ("dGV4dCwgcmVhbGx5", True)


def test_a_request_without_a_body_has_none(ask: Ask) -> None:
    assert ask("GET", "/v1/tasks").json["body"] is None


def test_a_view_can_ask_how_much_time_it_has(ask: Ask) -> None:
    assert 0 < ask("GET", "/v1/tasks/t1").json["remaining"] <= server.API_SECONDS * 1000


def test_requests_at_the_same_time_each_see_their_own(tmp_path: Path) -> None:
    app, both_inside = Chalice("small"), Barrier(2, timeout=10)

    @app.route("/mine/{number}")
    def mine(number: str) -> list[str]:
        both_inside.wait()
        assert app.current_request
        return [number, (app.current_request.uri_params or {})["number"]]

    with serving(app, tmp_path) as port, ThreadPoolExecutor(2) as pool:
        replies = pool.map(lambda number: asking(port)("GET", f"/mine/{number}").json, "12")
        assert list(replies) == [["1", "1"], ["2", "2"]]


# ── the reply ────────────────────────────────────────────────────────────────────────────────────


def test_a_header_with_two_values_goes_out_twice(ask: Ask) -> None:
    headers = ask("GET", "/v1/tasks").headers
    assert headers.get_all("Set-Cookie") == ["a=1", "b=1"]
    assert headers["X-Answer"] == "yes"


def test_a_binary_reply_leaves_as_bytes(ask: Ask) -> None:
    reply = ask("GET", "/v1/picture", headers={"Accept": "image/png"})
    assert (reply.headers["Content-Type"], reply.body) == ("image/png", b"\x89PNG\xff")


def test_a_reply_is_json_unless_it_says_otherwise(ask: Ask) -> None:
    assert ask("GET", "/v1/tasks/t1").headers["Content-Type"] == "application/json"


def test_head_is_get_without_the_body(ask: Ask) -> None:
    get, head = ask("GET", "/v1/tasks/newest"), ask("HEAD", "/v1/tasks/newest")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_options_lists_the_methods(ask: Ask) -> None:
    reply = ask("OPTIONS", "/v1/tasks")
    assert (reply.status, reply.headers["Allow"]) == (204, "GET, POST")


def test_an_unknown_path_is_a_problem(ask: Ask) -> None:
    reply = ask("POST", "/v1/nothing", b"{}")
    assert (reply.status, reply.headers["Content-Type"]) == (404, "application/problem+json")
    assert (reply.json["status"], reply.json["code"]) == (404, "no_such_route")


def test_an_empty_path_parameter_is_an_unknown_path() -> None:
    resources = ["/v1/tasks/{task_id}/cancel"]
    assert gateway.match(resources, "/v1/tasks//cancel") is None
    assert gateway.match(resources, "/v1/tasks/t1/cancel") == gateway.Match(resources[0], {"task_id": "t1"})


def test_a_wrong_method_is_a_problem_that_lists_the_right_ones(ask: Ask) -> None:
    reply = ask("PUT", "/v1/tasks", b"{}")
    assert (reply.status, reply.json["code"], reply.headers["Allow"]) == (405, "method_not_allowed", "GET, POST")


def test_a_body_that_lambda_would_not_take_is_refused(ask: Ask) -> None:
    assert ask("POST", "/v1/raw", b"", {"Content-Length": str(server.BODY_LIMIT + 1)}).status == 413


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/tasks/t1", {}, 200),
        ("HEAD", "/v1/tasks/newest", {}, 200),
        ("OPTIONS", "/v1/tasks", {}, 204),
        ("PUT", "/v1/tasks", {}, 405),
        ("POST", "/v1/nothing", {}, 404),
        ("GET", "/nothing", {}, 404),
        ("GET", "/v1/tasks", {"Host": "elsewhere.example"}, 403),
        ("POST", "/v1/raw", {"Content-Length": str(server.BODY_LIMIT + 1)}, 413),
        ("POST", "/v1/raw", {"Transfer-Encoding": "gzip"}, 400),
    ],
)
def test_every_answer_forbids_storing_and_guessing_its_type(
    ask: Ask, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    reply = ask(method, path, b"", headers)
    assert reply.status == status
    assert (reply.headers["Cache-Control"], reply.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_a_fault_of_the_server_is_a_problem_without_a_trace() -> None:
    def broken(*_: object) -> list[bytes]:
        raise ZeroDivisionError("secret")

    with server.listen(0) as listener, server.serving(broken, listener):
        reply = asking(listener.getsockname()[1])("GET", "/")
    assert (reply.status, reply.headers["Content-Type"]) == (500, "application/problem+json")
    assert reply.json["code"] == "internal_error"
    assert b"secret" not in reply.body


# ── the console's files ──────────────────────────────────────────────────────────────────────────


def test_the_root_is_the_console(ask: Ask) -> None:
    reply = ask("GET", "/")
    assert (reply.headers["Content-Type"], reply.body.decode()) == ("text/html; charset=utf-8", "<h1>必达</h1>")


def test_a_script_has_the_type_that_browsers_insist_on(ask: Ask) -> None:
    assert ask("GET", "/pages/app.js").headers["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/pages/..%2f..%2fsecret.txt",
        "//../secret.txt",
        "/link",
        "/pages",
        "/%00",
        f"/{'x' * 300}",
    ],
)
def test_nothing_outside_the_console_is_served(ask: Ask, path: str) -> None:
    reply = ask("GET", path)
    assert (reply.status, reply.json["code"]) == (404, "no_such_route")


def test_without_a_console_the_root_says_where_the_api_is(tmp_path: Path) -> None:
    with serving(small_app(), tmp_path / "none") as port:
        reply = asking(port)("GET", "/")
    assert (reply.status, b"/v1" in reply.body) == (200, True)


# ── who is let in ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/v1/tasks/t1", "/"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:80"]
)
def test_a_name_that_somebody_points_at_loopback_is_refused(ask: Ask, port: int, path: str, host: str) -> None:
    reply = ask("GET", path, headers={"Host": host.format(port=port)})
    assert (reply.status, reply.json["code"]) == (403, "foreign_site")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}"])
def test_a_page_of_another_site_is_refused(ask: Ask, port: int, origin: str) -> None:
    assert ask("GET", "/v1/tasks/t1", headers={"Origin": origin.format(port=port)}).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_every_name_of_this_computer_will_do(ask: Ask, port: int, host: str) -> None:
    own = host.format(port=port)
    assert ask("GET", "/v1/tasks/t1", headers={"Host": own, "Origin": f"http://{own.lower()}"}).status == 200


@pytest.mark.parametrize(("port", "foreign"), [(80, False), (8000, True)])
def test_a_host_without_a_port_means_port_80(port: int, foreign: bool) -> None:
    assert server.is_foreign("localhost", None, port) is foreign


# ── starting and stopping ────────────────────────────────────────────────────────────────────────


def test_a_port_that_is_taken_is_an_error(port: int) -> None:
    with pytest.raises(OSError, match="in use"):
        server.listen(port)


def test_a_request_that_runs_when_the_server_stops_gets_its_reply(tmp_path: Path) -> None:
    app = Chalice("slow")
    running, go_on = Event(), Event()

    @app.route("/slow")
    def slow() -> str:
        running.set()
        go_on.wait(10)
        return "done"

    with ThreadPoolExecutor(1) as pool:
        with serving(app, tmp_path) as port:
            reply = pool.submit(asking(port), "GET", "/slow")
            assert running.wait(10)
            Timer(0.2, go_on.set).start()  # by then the server is stopping
        assert reply.result(10).body == b"done"
