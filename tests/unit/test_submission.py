"""What a task may hold, what is refused and where, and the Request that comes of it."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import json_text, show, submission
from chalicelib.delivery.compose import compose
from chalicelib.errors import Fault, InvalidRequest
from chalicelib.json_text import JsonText
from chalicelib.outbound import Outbound, aim_at
from chalicelib.records import from_json, to_json
from chalicelib.settings import load
from chalicelib.shape import parse
from chalicelib.submission import DEFAULT_RETRY, HOP_BY_HOP, MOST_DEADLINE, OURS, TASK_FIELDS
from chalicelib.task import Expectation, Json, Policy, Request, evolve
from tests.cases import share
from tests.unit.makers import NOON, SETTINGS, AnyAddress, request, task
from tests.unit.strategies import BODILESS, SCALARS, WORDS, damaged, json_of, submissions

URL = "https://partner.example/callback"


def read(**members: Json) -> Request:
    return submission.read({"url": URL, **members}, SETTINGS, AnyAddress(), NOON)


@pytest.mark.parametrize(
    ("members", "due_at"),
    [
        ({}, NOON),
        ({"delay": None, "deliver_at": None}, NOON),
        ({"delay": 0}, NOON),
        ({"delay": 90.5}, NOON + 90.5),
        ({"delay": 366 * 86_400}, NOON + 366 * 86_400),
        ({"deliver_at": "2025-12-01T13:00:00Z"}, NOON + 3600),
        ({"deliver_at": "2025-12-01T21:00:00+08:00"}, NOON + 3600),
        ({"deliver_at": "2026-12-02T12:00:00Z"}, NOON + 366 * 86_400),
        ({"deliver_at": "1999-01-01T00:00:00Z"}, NOON),
    ],
)
def test_the_first_try_is_due_at_once_unless_it_is_put_off(members: dict[str, Json], due_at: float) -> None:
    read(**members)
    assert submission.due_at({"url": URL, **members}, NOON) == due_at


def faults(submitted: Json) -> dict[str, str]:
    """Pointer -> detail; every pointer once."""
    with pytest.raises(InvalidRequest) as refused:
        submission.read(submitted, SETTINGS, AnyAddress(), NOON)
    found = {fault.pointer: fault.detail for fault in refused.value.faults}
    assert len(found) == len(refused.value.faults)
    return found


def fault(**members: Json) -> tuple[str, str]:
    """The only fault there is."""
    [only] = faults({"url": URL, **members}).items()
    return only


# ── what is asked for, and what it is when it is not said ────────────────────────────────────────


def test_only_the_url_is_required() -> None:
    assert submission.read({"url": URL}, SETTINGS, AnyAddress(), NOON) == Request(
        url=URL,
        method="POST",
        expect=Expectation(status=("2xx",)),
        retry=Policy(
            max_attempts=12,
            backoff="exponential",
            initial=5,
            factor=3,
            cap=21_600,
            jitter=0.2,
            deadline=MOST_DEADLINE,
        ),
        timeout=10,
    )


def test_the_timeout_when_it_is_not_said_is_never_above_the_most() -> None:
    short = load({"KKBIDA_DEFAULT_TIMEOUT": "20", "KKBIDA_MAX_TIMEOUT": "15"})
    assert submission.read({"url": URL}, short, AnyAddress(), NOON).timeout == 15


def test_null_counts_as_absent_in_the_task_in_expect_and_in_retry() -> None:
    nulls = dict.fromkeys(TASK_FIELDS)
    inner = {"expect": {"status": None, "contains": None, "json": None}, "retry": {"preset": None, "schedule": None}}
    assert read(**{**nulls, "url": URL, **inner}) == read()


def in_words(value: Json) -> Json:
    """The value that a text of JSON stands for; any other as it is."""
    return json.loads(value.text) if isinstance(value, JsonText) else value


def test_all_that_was_submitted_is_in_the_request() -> None:
    given_ = {
        "method": "PUT",
        "headers": {"X-Order": "42"},
        "params": {"city": "上海"},
        "body": {"n": 123456789012345678901234567890, "t": "😀", "none": None},
        "content_type": "application/vnd.partner+json",
        "timeout": 2.5,
        "source_app": "orders",
        "target_app": "账单",
        "labels": {"order": "42"},
    }
    taken = read(
        **given_,
        expect={"status": ["200"], "contains": "a", "equals": "", "regex": "b", "json": {"$.code": None}},
        retry={"backoff": "fixed", "initial": 60, "max_attempts": 5, "give_up_on": ["4xx", "!429"], "deadline": 600},
    )
    assert {name: in_words(getattr(taken, name)) for name in given_} == given_
    assert taken.expect == Expectation(status=("200",), contains="a", equals="", regex="b", json={"$.code": None})
    assert taken.retry == Policy(max_attempts=5, backoff="fixed", initial=60, give_up_on=("4xx", "!429"), deadline=600)
    assert from_json(Request, to_json(taken)) == taken


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_six_methods_are_known(method: str) -> None:
    assert read(method=method).method == method


@pytest.mark.parametrize("seconds", [0.1, 1, 60])
def test_a_timeout_may_be_as_long_as_the_most(seconds: float) -> None:
    assert read(timeout=seconds).timeout == seconds


@pytest.mark.parametrize("body", [0, False, "", [], {}, "text", [None], 1.5, {"a": {"b": [1]}}])
def test_any_json_is_a_body(body: Json) -> None:
    taken = read(body=body).body
    assert taken == (body if isinstance(body, str) else JsonText(json.dumps(body, separators=(",", ":"))))


@pytest.mark.parametrize(
    ("members", "content_type"),
    [
        ({"content_type": "text/xml"}, "text/xml"),
        ({"headers": {"content-TYPE": "text/xml", "X-A": "1"}}, "text/xml"),
        ({}, None),
    ],
)
def test_the_content_type_is_taken_from_wherever_it_stands(members: Json, content_type: str | None) -> None:
    taken = read(**members)
    assert taken.content_type == content_type
    assert [name for name in taken.headers if name.lower() == "content-type"] == []


# ── faults of shape ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("submitted", [None, [], "task", 1, True])
def test_a_task_is_an_object(submitted: Json) -> None:
    assert list(faults(submitted)) == [""]


@pytest.mark.parametrize(
    ("pointer", "members"),
    [
        ("/body_", {"body_": 1}),
        ("/deliver_at", {"deliver_at": "tomorrow"}),
        ("/deliver_at", {"deliver_at": 1_764_590_400}),
        ("/deliver_at", {"deliver_at": "2026-12-02T12:00:01Z"}),
        ("/deliver_at", {"deliver_at": "2025-12-01T12:00:00Z", "delay": 0}),
        ("/delay", {"delay": -1}),
        ("/delay", {"delay": "30"}),
        ("/delay", {"delay": 366 * 86_400 + 1}),
        ("/idempotency_key", {"idempotency_key": "only in a batch"}),
        ("/expect/header", {"expect": {"header": "a"}}),
        ("/retry/tries", {"retry": {"tries": 1}}),
        ("/method", {"method": "post"}),
        ("/method", {"method": "TRACE"}),
        ("/headers", {"headers": [["a", "b"]]}),
        ("/headers/X-A", {"headers": {"X-A": 1}}),
        ("/headers/X-A", {"headers": {"X-A": None}}),
        ("/headers/X-A", {"headers": {"X-A": ["1"]}}),
        ("/params", {"params": "a=b"}),
        ("/params/" + "x" * 200 + "…", {"params": {"x" * 1001: 1}}),
        ("/headers/" + "x" * 200 + "…", {"headers": {"x" * 201: "1"}}),
        ("/content_type", {"content_type": ""}),
        ("/timeout", {"timeout": "10"}),
        ("/timeout", {"timeout": True}),
        ("/timeout", {"timeout": 0}),
        ("/timeout", {"timeout": 0.09}),
        ("/timeout", {"timeout": 61}),
        ("/timeout", {"timeout": 301}),
        ("/source_app", {"source_app": ""}),
        ("/target_app", {"target_app": "x" * 101}),
        ("/labels/a", {"labels": {"a": 1}}),
        ("/labels", {"labels": {str(n): "" for n in range(21)}}),
        ("/expect", {"expect": "2xx"}),
        ("/expect/status", {"expect": {"status": "2xx"}}),
        ("/expect/status", {"expect": {"status": []}}),
        ("/expect/status/0", {"expect": {"status": [200]}}),
        ("/expect/contains", {"expect": {"contains": ""}}),
        ("/expect/regex", {"expect": {"regex": "x" * 1001}}),
        ("/expect/json", {"expect": {"json": ["$.a"]}}),
        ("/retry", {"retry": 3}),
        ("/retry/max_attempts", {"retry": {"max_attempts": 0}}),
        ("/retry/max_attempts", {"retry": {"max_attempts": 101}}),
        ("/retry/max_attempts", {"retry": {"max_attempts": 3.0}}),
        ("/retry/max_attempts", {"retry": {"max_attempts": True}}),
        ("/retry/max_attempts", {"retry": {"max_attempts": "3"}}),
        ("/retry/max_attempts", {"retry": {"max_attempts": 10**400}}),
        ("/retry/backoff", {"retry": {"backoff": "linear"}}),
        ("/retry/initial", {"retry": {"initial": -1}}),
        ("/retry/initial", {"retry": {"initial": 7 * 86_400 + 1}}),
        ("/retry/factor", {"retry": {"factor": 0.5}}),
        ("/retry/factor", {"retry": {"factor": 101}}),
        ("/retry/jitter", {"retry": {"jitter": 1.1}}),
        ("/retry/deadline", {"retry": {"deadline": 0}}),
        ("/retry/deadline", {"retry": {"deadline": 30 * 86_400 + 1}}),
        ("/retry/schedule", {"retry": {"schedule": []}}),
        ("/retry/schedule", {"retry": {"schedule": [1] * 100}}),
        ("/retry/schedule/1", {"retry": {"schedule": [1, "2"]}}),
        ("/retry/preset", {"retry": {"preset": "paypal"}}),
        ("/retry/give_up_on", {"retry": {"give_up_on": "4xx"}}),
    ],
)
def test_a_member_of_the_wrong_shape_is_pointed_at(pointer: str, members: dict[str, Json]) -> None:
    assert fault(**members)[0] == pointer


def test_a_task_without_a_url_says_so() -> None:
    assert faults({}) == {"/url": "is missing"} == faults({"url": None})


# ── faults of meaning ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example",
        "HTTP://Partner.Example/Path",
        "https://partner.example:8443/a;b/c?d=e&f=%20#",
        "https://192.0.2.1/",
        "https://[2001:db8::1]:443/",
        "http://partner.example:1/",
        "http://partner.example:65535/",
        "http://partner.example:/",
        "http://例え.jp/上海?城市=北京",
        "http://xn--r8jz45g.jp/",
        "http://localhost/",
        "http://a_b.example/",
        "https://partner.example/?a=[1]&b=(2)*'!",
    ],
)
def test_an_address_of_http_is_taken_as_it_is(url: str) -> None:
    assert read(url=url).url == url


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("", "must have 1 to 4000 characters, and has 0"),
        ("https://partner.example/" + "x" * 4000, "must have 1 to 4000 characters, and has 4024"),
        ("partner.example/callback", "must begin with http:// or https://"),
        ("//partner.example/callback", "must begin with http:// or https://"),
        ("ftp://partner.example/", "must begin with http:// or https://"),
        ("file:///etc/passwd", "must begin with http:// or https://"),
        ("javascript:alert(1)", "must begin with http:// or https://"),
        ("httpss://partner.example/", "must begin with http:// or https://"),
        ("http://", "names no host"),
        ("http:///path", "names no host"),
        ("http:partner.example", "must begin with http:// or https://"),
        ("https://:443/", "names no host"),
        ("http://user@partner.example/", "holds credentials; put them into a header"),
        ("http://user:pass@partner.example/", "holds credentials; put them into a header"),
        ("http://@partner.example/", "holds credentials; put them into a header"),
        ("http://partner.example/#part", "has a fragment (#...), which is never sent"),
        ("http://partner.example:0/", "names port '0'; ports are numbers from 1 to 65535"),
        ("http://partner.example/50%", "holds '%' at character 26, but % must be followed by two hexadecimal digits"),
        ("http://partner.example/<a>", "holds '<' at character 24, which no URL can contain; in a path or a query"),
        ("http://refused.example/", "refused.example is at 127.0.0.1, which is not allowed."),
    ],
)
def test_an_address_that_nothing_can_be_sent_to_is_refused(url: str, detail: str) -> None:
    pointer, found = fault(url=url)
    assert (pointer, found[: len(detail)]) == ("/url", detail)


@given(st.text(max_size=30) | st.text(alphabet="htps:/@[]#?.%\\ a0-\x00é", max_size=20).map("http://{}".format))
def test_any_text_is_an_address_or_an_invalid_request(url: str) -> None:
    with suppress(InvalidRequest):
        assert read(url=url).target.startswith(("http://", "https://"))


FORBIDDEN_HEADERS = sorted(HOP_BY_HOP | OURS)


@pytest.mark.parametrize("name", [*FORBIDDEN_HEADERS, *map(str.title, FORBIDDEN_HEADERS), "HOST", "Webhook-ID"])
def test_a_header_that_is_not_the_callers_to_set_is_refused_in_any_case(name: str) -> None:
    assert fault(headers={name: "1"}) == (
        f"/headers/{name}",
        "must not be set: kkbida or the connection sets it",
    )


@pytest.mark.parametrize(
    "name", [name.replace("-", "_") for name in FORBIDDEN_HEADERS if "-" in name]
    + ["Webhook_Signature", "WEBHOOK_ID", "Webhook.Id", "webhook!id", "Content_Type", "content.type"]
)  # fmt: skip
def test_a_name_that_a_receiver_behind_wsgi_reads_as_one_of_ours_is_refused(name: str) -> None:
    assert fault(headers={name: "1"})[1] == "must not be set: kkbida or the connection sets it"


@pytest.mark.parametrize("name", ["X_Request_Id", "Webhook_Signatures", "_", "x-webhook_id", "content_types"])
def test_other_names_may_have_underscores(name: str) -> None:
    assert read(headers={name: "1"}).headers == {name: "1"}


def test_the_forbidden_headers_are_those_of_the_connection_and_our_own() -> None:
    named = {"host", "content-length", "connection", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive"}
    assert named | {"webhook-id", "webhook-timestamp", "webhook-signature", "webhook-attempt"} <= HOP_BY_HOP | OURS


@pytest.mark.parametrize("name", ["", " ", "X A", "X-A:", "X\r\nEvil", "X\x00", "X(1)", "上海", "X-A ", "[x]", "a/b"])
def test_a_name_that_no_header_can_have_is_refused(name: str) -> None:
    assert fault(headers={name: "1"})[1] == "is no header name"


@pytest.mark.parametrize(
    "value", ["a\r\nEvil: 1", "a\nb", "a\rb", "a\x00b", "\x7f", " a", "a ", "\ta", "上海", "\x1b[0m"]
)
def test_a_value_that_no_header_can_have_is_refused(value: str) -> None:
    assert fault(headers={"X-A": value}) == ("/headers/X-A", "holds characters that no header may hold")
    assert fault(content_type=value) == ("/content_type", "holds characters that no header may hold")


@pytest.mark.parametrize("value", ["", "a", "a b\tc", "Bearer a.b-c_d~e+f/g=", "café", "!#$%&'*+-.^_`|~"])
def test_a_usual_value_is_taken(value: str) -> None:
    assert read(headers={"X-A": value}).headers == {"X-A": value}


@pytest.mark.parametrize(
    ("members", "pointer", "detail"),
    [
        ({"headers": {"X-A": "1", "x-a": "2"}}, "/headers/x-a", "stands twice"),
        ({"headers": {"Content-Type": "a"}, "content_type": "b"}, "/headers/Content-Type", "is given by content_type"),
        ({"headers": {"Content-Type": "a/b", "content-type": "a/b"}}, "/headers/content-type", "stands twice"),
        ({"headers": {"Content-Type": ""}}, "/headers/Content-Type", "must have 1 to 200 characters, and has 0"),
        ({"headers": {"content-type": "x" * 201}}, "/headers/content-type", "must have 1 to 200 characters, and has"),
        ({"method": "GET", "body": {"a": 1}}, "/body", "a GET has no body"),
        ({"method": "HEAD", "body": ""}, "/body", "a HEAD has no body"),
        ({"timeout": 60.1}, "/timeout", "must be at most 60 here"),
        ({"expect": {"status": ["2xx", "9xx"]}}, "/expect/status/1", '"9xx" is no status pattern'),
        ({"expect": {"status": ["299-200"]}}, "/expect/status/0", '"299-200" ends before it begins'),
        ({"expect": {"regex": "("}}, "/expect/regex", "is no regular expression: missing )"),
        ({"expect": {"regex": "a{9999999}"}}, "/expect/regex", "repeats too much"),
        ({"expect": {"json": {"code": 0}}}, "/expect/json/code", '"code" is no JSON path'),
        ({"expect": {"json": {"$.a/b": 0}}}, "/expect/json/$.a~1b", '"$.a/b" cannot be read from "/b" on'),
        ({"retry": {"give_up_on": ["4xx", "!"]}}, "/retry/give_up_on/1", '"!" is no status pattern'),
        ({"retry": {"backoff": "fixed"}}, "/retry/initial", "is missing: the seconds of each wait"),
        ({"retry": {"backoff": "schedule"}}, "/retry/schedule", "is missing: the seconds between the tries"),
        ({"retry": {"initial": 10, "cap": 9.5}}, "/retry/cap", "is smaller than initial"),
    ],
)  # fmt: skip
def test_members_that_make_no_sense_are_told_why(members: dict[str, Json], pointer: str, detail: str) -> None:
    found = fault(**members)
    assert (found[0], found[1][: len(detail)]) == (pointer, detail)


WAYS: dict[str, tuple[Json, str]] = {
    "a preset": ({"preset": "svix"}, "backoff schedule initial factor cap"),
    "schedule": ({"backoff": "schedule", "schedule": [1]}, "initial factor cap"),
    "fixed": ({"backoff": "fixed", "initial": 1}, "schedule factor cap"),
    "exponential": ({"backoff": "exponential"}, "schedule"),
}
VALUES = {"backoff": "fixed", "schedule": [1], "initial": 1, "factor": 2, "cap": 9}


@pytest.mark.parametrize(
    ("way", "member"), [(way, member) for way, (_, members) in WAYS.items() for member in members.split()]
)
def test_two_ways_of_saying_the_waits_contradict_each_other(way: str, member: str) -> None:
    retry, _ = WAYS[way]
    assert fault(retry={**retry, member: VALUES[member]}) == (f"/retry/{member}", f"does not go with {way}")
    assert read(retry=retry)


def test_a_schedule_needs_no_other_word_and_takes_none_but_its_own() -> None:
    assert read(retry={"schedule": [1]}) == read(retry={"schedule": [1], "backoff": "schedule"})
    assert fault(retry={"schedule": [1], "cap": 9}) == ("/retry/cap", "does not go with schedule")


def test_faults_of_shape_hide_no_faults_of_meaning_beside_them() -> None:
    submitted = {
        "url": "ftp://partner.example/",
        "headers": {"Host": "a", "X-A": 1, "x-a": "a\nb", "": "1"},
        "timeout": "soon",
        "content_type": "\n",
        "expect": {"status": [200, "9xx", "2xx"], "contains": 1, "regex": "(", "json": {"code": 1}, "x": 1},
        "retry": {"schedule": [1, "2"], "give_up_on": ["!", 4], "backoff": "fixed", "max_attempts": 0},
        "method": "FETCH",
        "body": {"any": ["thing"]},
        "colour": "red",
    }
    assert sorted(faults(submitted)) == [
        "/colour",
        "/content_type",
        "/expect/contains",
        "/expect/json/code",
        "/expect/regex",
        "/expect/status/0",
        "/expect/status/1",
        "/expect/x",
        "/headers/",
        "/headers/Host",
        "/headers/X-A",
        "/headers/x-a",
        "/method",
        "/retry/give_up_on/0",
        "/retry/give_up_on/1",
        "/retry/initial",
        "/retry/max_attempts",
        "/retry/schedule",
        "/retry/schedule/1",
        "/timeout",
        "/url",
    ]


# ── retry rules ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        ({}, DEFAULT_RETRY),
        ({"max_attempts": 3}, {**DEFAULT_RETRY, "max_attempts": 3}),
        ({"backoff": "exponential", "jitter": 0}, {**DEFAULT_RETRY, "jitter": 0}),
        ({"initial": 100_000}, {**DEFAULT_RETRY, "initial": 100_000, "cap": 100_000}),
        ({"cap": 2}, {**DEFAULT_RETRY, "initial": 2, "cap": 2}),
        ({"initial": 0, "cap": 0}, {**DEFAULT_RETRY, "initial": 0, "cap": 0}),
        ({"backoff": "fixed", "initial": 60}, {"backoff": "fixed", "initial": 60, "max_attempts": 12}),
        ({"schedule": [15, 15, 30]}, {"backoff": "schedule", "waits": (15, 15, 30), "max_attempts": 4}),
        (
            {"backoff": "schedule", "schedule": [1.5], "max_attempts": 9},
            {"backoff": "schedule", "waits": (1.5,), "max_attempts": 9},
        ),
    ],
)
def test_what_is_not_said_of_the_retries_is_filled_in(retry: Json, expected: dict[str, Json]) -> None:
    assert read(retry=retry).retry == Policy(**expected, deadline=MOST_DEADLINE)


def test_an_expectation_of_ones_own_takes_the_place_of_the_presets() -> None:
    assert read(retry={"preset": "alipay"}).expect == Expectation(equals="success")
    assert read(retry={"preset": "alipay"}, expect={"contains": "ok"}).expect == Expectation(contains="ok")


# ── a resend with changes ────────────────────────────────────────────────────────────────────────


def override(changes: Json, **of: Json) -> Request:
    return submission.override(request(**of), changes, SETTINGS, AnyAddress())


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({}, {}),
        ({"url": None, "body": None, "retry": None}, {}),
        ({"url": "http://other.example/"}, {"url": "http://other.example/"}),
        ({"body": 0}, {"body": 0}),
        ({"headers": {"X-B": "2"}}, {"headers": {"X-B": "2"}}),
        ({"headers": {}}, {"headers": {}}),
        ({"content_type": "text/xml"}, {"content_type": "text/xml"}),
        ({"headers": {"Content-Type": "text/xml"}}, {"headers": {}, "content_type": "text/xml"}),
        (
            {"retry": {"backoff": "fixed", "initial": 1}},
            {"retry": Policy(max_attempts=12, backoff="fixed", initial=1, deadline=MOST_DEADLINE)},
        ),
    ],
)
def test_a_resend_changes_what_it_names_and_nothing_else(changes: Json, changed: dict[str, Json]) -> None:
    old: dict[str, Json] = {"headers": {"X-A": "1"}, "content_type": "text/plain", "body": "old", "labels": {"a": "b"}}
    assert override(changes, **old) == request(**{**old, **changed})


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ([], [""]),
        ({"method": "PUT"}, ["/method"]),
        ({"expect": {}}, ["/expect"]),
        ({"source_app": "a"}, ["/source_app"]),
        ({"url": "ftp://a", "headers": {"Host": "a"}, "retry": {"cap": -1}}, ["/headers/Host", "/retry/cap", "/url"]),
    ],
)
def test_a_resend_is_checked_as_a_submission_is(changes: Json, pointers: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        override(changes)
    assert sorted(fault.pointer for fault in refused.value.faults) == pointers


def test_a_resend_cannot_give_a_get_a_body() -> None:
    with pytest.raises(InvalidRequest) as refused:
        override({"body": "a"}, method="GET")
    assert [fault.pointer for fault in refused.value.faults] == ["/body"]
    assert override({"body": "a"}, method="DELETE").body == "a"


# ── anything at all ──────────────────────────────────────────────────────────────────────────────


def nobody(name: str) -> list[str]:
    """A resolver that knows no name. The door lets those pass: the check that counts is at connect."""
    raise OSError(name)


DOOR = Outbound(SETTINGS, resolve=nobody)


def taken(submitted: Json) -> Request | tuple[Fault, ...]:
    """What becomes of it on its way through the API: the request, or all that is wrong with it."""
    try:
        return submission.read(parse(json.dumps(submitted).encode()), SETTINGS, DOOR, NOON)
    except InvalidRequest as refused:
        return refused.faults


def request_of(submitted: Json) -> Request:
    """The request that is made of a valid submission."""
    request = taken(submitted)
    assert isinstance(request, Request), request
    return request


@given(submissions())
def test_what_keeps_to_the_reference_is_taken_and_every_word_of_it_is_in_the_request(given_: Json) -> None:
    request = request_of(given_)
    plain = ("url", "method", "params", "body", "timeout", "source_app", "target_app", "labels")
    assert all(in_words(getattr(request, name)) == given_[name] for name in plain if name in given_)
    sent = {**request.headers, **({"content-type": request.content_type} if request.content_type else {})}
    named = {**given_.get("headers", {}), **({"content-type": t} if (t := given_.get("content_type")) else {})}
    assert {name.lower(): value for name, value in sent.items()} == {name.lower(): v for name, v in named.items()}


@given(submissions())
def test_what_is_taken_can_be_stored_and_composed_and_the_door_knows_where_it_leads(submitted: Json) -> None:
    request = request_of(submitted)
    assert from_json(Request, to_json(request)) == request
    outgoing = compose(task(request=request), now=NOON, most_seconds=SETTINGS.max_timeout)
    aim = aim_at(outgoing.url, frozenset())
    host, port = urlsplit(request.target).hostname, urlsplit(request.target).port
    assert (aim.scheme, aim.port) == (request.target.partition(":")[0], port)
    assert aim.host == host or not (host or "").isascii()


@given(submissions())
def test_what_is_shown_of_a_task_can_be_submitted_again_and_is_the_same_request(submitted: Json) -> None:
    request = request_of(submitted)
    shown = json.loads(json_text.dumps(show.whole(task(request=request), [], [], [], now=NOON)))
    hidden = {name for name, value in shown["headers"].items() if value != request.headers[name]}
    assert {shown["headers"][name] for name in hidden} <= {show.HIDDEN}
    visible = {name: value for name, value in request.headers.items() if name not in hidden}
    again = {name: shown[name] for name in TASK_FIELDS.keys() - {"delay", "deliver_at"}} | {"headers": visible}
    assert request_of(again) == evolve(request, headers=visible)


def lookup(document: Json, pointer: str) -> Json:
    """What stands at a JSON pointer (RFC 6901). Raises LookupError."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[name] if isinstance(document, dict) else document[int(name)]
    return document


ABSENT = "is missing"
GAPS = (ABSENT, "must have 1 to", "takes no status in")


@share(2)
@given(damaged() | json_of(SCALARS | WORDS))
def test_any_json_is_a_request_or_is_told_every_place_where_it_is_not(submitted: Json) -> None:
    found = taken(submitted)
    if isinstance(found, Request):
        assert from_json(Request, to_json(found)) == found
        return
    assert found
    for fault in found:
        assert fault.detail
        where, absent = fault.pointer, fault.detail.startswith(ABSENT)
        lookup(submitted, where.rpartition("/")[0] if absent else where)
        assert not absent or lookup(submitted, where.rpartition("/")[0]).get(where.rpartition("/")[2]) is None


def without(value: Json, faulty: Collection[str], pointer: str = "") -> Json:
    """The value without all that stands at those pointers."""
    if isinstance(value, dict):
        inside = {name: f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}" for name in value}
        return {name: without(value[name], faulty, at) for name, at in inside.items() if at not in faulty}
    if isinstance(value, list):
        return [
            without(item, faulty, f"{pointer}/{n}") for n, item in enumerate(value) if f"{pointer}/{n}" not in faulty
        ]
    return value


@share(2)
@given(damaged())
def test_all_faults_are_told_at_once_and_what_is_left_without_them_is_taken(submitted: Json) -> None:
    """Unless the faulty ones leave a gap: then that is all that is wrong with the rest."""
    found = taken(submitted)
    if isinstance(found, Request) or not isinstance(submitted, dict):
        return
    rest = without(submitted, {fault.pointer for fault in found})
    left = taken(rest)
    assert isinstance(left, Request) or all(fault.detail.startswith(GAPS) for fault in left)


# ── a resend with anything at all ────────────────────────────────────────────────────────────────

OF_A_RESEND = ("url", "headers", "body", "content_type", "retry")


@given(submissions(), submissions(), st.sets(st.sampled_from(OF_A_RESEND)))
def test_a_resend_makes_the_request_that_its_parts_would_have_made(old: Json, new: Json, named: set[str]) -> None:
    request = request_of(old)
    changes = {name: new[name] for name in named if new.get(name) is not None}
    if request.method in BODILESS:
        changes.pop("body", None)
    changed = submission.override(request, changes, SETTINGS, DOOR)
    alone = request_of({"url": request.url, **changes})
    for name in ("url", "headers", "body", "retry"):
        assert getattr(changed, name) == getattr(alone if name in changes else request, name)
    assert changed.content_type == (alone.content_type or request.content_type)
    untouched = {name: getattr(request, name) for name in OF_A_RESEND}
    assert evolve(changed, **untouched) == request
    assert from_json(Request, to_json(changed)) == changed


@given(json_of(SCALARS | WORDS) | damaged())
def test_any_json_is_a_change_or_an_invalid_request(changes: Json) -> None:
    with suppress(InvalidRequest):
        changed = submission.override(request(), parse(json.dumps(changes).encode()), SETTINGS, DOOR)
        assert from_json(Request, to_json(changed)) == changed
