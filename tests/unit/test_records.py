"""What is stored reads back as the very same record."""

import dataclasses
import json
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.json_text import JsonText
from chalicelib.records import Record, dumps, from_json, pack, to_json, unpack
from chalicelib.task import (
    Attempt,
    Audit,
    Breaker,
    Caller,
    Channel,
    Desk,
    Event,
    Expectation,
    Gate,
    Gist,
    Held,
    Json,
    Mention,
    Notice,
    NoticeStatus,
    Operator,
    Policy,
    Request,
    Resend,
    ResendStatus,
    Robot,
    Role,
    Session,
    SigningSecret,
    Status,
    Target,
    Task,
    Tries,
    Verdict,
)
from tests.cases import share

R = TypeVar("R", bound=Record)

TEXT = st.text(max_size=20)  # hypothesis leaves half surrogate pairs out of it
TIMES = st.floats(min_value=0, max_value=1e11, allow_nan=False)
COUNTS = st.integers(min_value=0, max_value=10**9)
NUMBERS = st.integers() | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | st.text(st.characters(categories=["Cs", "Lo"]), max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
TEXTS = st.dictionaries(TEXT, TEXT, max_size=3)


def every_field(record: type[R], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[R]:
    """Records whose every field is whatever it may be; one that has been added since must be named too."""
    assert fields.keys() == {field.name for field in dataclasses.fields(record)}
    return st.builds(record, **fields)


EXPECTATIONS = every_field(
    Expectation,
    status=st.lists(TEXT, max_size=3).map(tuple),
    contains=st.none() | TEXT,
    equals=st.none() | TEXT,
    regex=st.none() | TEXT,
    json=st.dictionaries(TEXT, JSON, max_size=3),
)
POLICIES = every_field(
    Policy,
    max_attempts=COUNTS,
    backoff=st.sampled_from(["exponential", "fixed", "schedule"]),
    initial=TIMES,
    factor=TIMES,
    cap=TIMES,
    waits=st.lists(NUMBERS, max_size=4).map(tuple),
    jitter=st.floats(0, 1),
    give_up_on=st.lists(TEXT, max_size=3).map(tuple),
    deadline=TIMES,
)
REQUESTS = every_field(
    Request,
    url=TEXT,
    method=TEXT,
    headers=TEXTS,
    params=st.dictionaries(TEXT, JSON, max_size=3),
    body=JSON,
    content_type=st.none() | TEXT,
    expect=EXPECTATIONS,
    retry=POLICIES,
    timeout=TIMES,
    source_app=TEXT,
    target_app=TEXT,
    labels=TEXTS,
    ordering_key=st.none() | TEXT,
    on_exhausted=TEXT,
    delay=st.floats(0, 31_622_400),
)
ATTEMPTS = every_field(
    Attempt,
    number=COUNTS,
    round=COUNTS,
    fence=COUNTS,
    started_at=st.none() | TIMES,
    verdict=st.none() | st.sampled_from(Verdict),
    duration_ms=st.none() | COUNTS,
    status_code=st.none() | COUNTS,
    kind=st.none() | TEXT,
    reason=st.none() | TEXT,
    reply=st.none() | TEXT,
    reply_bytes=st.none() | COUNTS,
    wait=st.none() | TIMES,
    phases=st.lists(st.none() | COUNTS, max_size=5).map(tuple),
)
TASKS = every_field(
    Task,
    task_id=TEXT,
    request=REQUESTS,
    caller=TEXT,
    digest=TEXT,
    created_at=TIMES,
    updated_at=TIMES,
    status=st.sampled_from(Status),
    version=COUNTS,
    ticket=COUNTS,
    round=COUNTS,
    round_started_at=TIMES,
    number=COUNTS,
    fence=COUNTS,
    due_at=TIMES,
    lease_until=TIMES,
    claimed_at=st.none() | TIMES,
    claimed_before=st.none() | TIMES,
    wake_at=st.none() | TIMES,
    wakes=COUNTS,
    last=st.none() | ATTEMPTS,
    because=st.none() | TEXT,
    held=st.none() | st.sampled_from(Held),
    held_at=st.none() | TIMES,
    expires_at=st.none() | COUNTS,
    place=st.none() | COUNTS,
    behind=st.booleans(),
)
MENTIONS = every_field(
    Mention,
    subject=TEXT,
    round=COUNTS,
    channel_id=TEXT,
    channel_kind=TEXT,
    notice_id=TEXT,
    event=st.sampled_from(Event),
    target=TEXT,
    source_app=TEXT,
    error=TEXT,
    version=COUNTS,
    created_at=TIMES,
    due_at=TIMES,
    expires_at=st.none() | COUNTS,
)
SUMS = st.dictionaries(TEXT, COUNTS, max_size=3)
GISTS = every_field(
    Gist,
    tasks=COUNTS,
    targets=SUMS,
    errors=SUMS,
    apps=SUMS,
    first=st.lists(TEXT, max_size=3).map(tuple),
    opened=st.lists(TEXT, max_size=3).map(tuple),
    closed=st.lists(TEXT, max_size=3).map(tuple),
    values=st.dictionaries(TEXT, TEXT, max_size=3),
)
NOTICES = every_field(
    Notice,
    notice_id=TEXT,
    channel_id=TEXT,
    channel_kind=TEXT,
    gist=GISTS,
    roll=TEXT,
    status=st.sampled_from(NoticeStatus),
    version=COUNTS,
    tries=COUNTS,
    throttled=COUNTS,
    due_at=TIMES,
    lease_until=TIMES,
    created_at=TIMES,
    ended_at=st.none() | TIMES,
    reason=st.none() | TEXT,
    taken=st.lists(TEXT, max_size=3).map(tuple),
    refused=TEXTS,
    expires_at=st.none() | COUNTS,
)
CHANNELS = every_field(
    Channel,
    channel_id=TEXT,
    kind=TEXT,
    url=TEXT,
    secret=TEXT,
    template=TEXT,
    content_type=TEXT,
    memo=TEXT,
    source_apps=st.lists(TEXT, max_size=3).map(tuple),
    target_apps=st.lists(TEXT, max_size=3).map(tuple),
    events=st.lists(TEXT, max_size=3).map(tuple),
    gather=TIMES,
    enabled=st.booleans(),
    version=COUNTS,
    created_at=TIMES,
    updated_at=TIMES,
)
RESENDS = every_field(
    Resend,
    resend_id=TEXT,
    filter=st.dictionaries(TEXT, TEXT, max_size=3),
    rate=TIMES,
    actor=TEXT,
    address=TEXT,
    status=st.sampled_from(ResendStatus),
    version=COUNTS,
    started_at=TIMES,
    ended_at=st.none() | TIMES,
    cursor=st.none() | TEXT,
    walked=st.booleans(),
    hand=st.lists(TEXT, max_size=3).map(tuple),
    rounds=st.lists(COUNTS, max_size=3).map(tuple),
    walk=COUNTS,
    walk_at=TIMES,
    found=COUNTS,
    named=st.lists(TEXT, max_size=3).map(tuple),
    next_at=TIMES,
    resent=COUNTS,
    passed_over=COUNTS,
    failed=COUNTS,
    expires_at=st.none() | COUNTS,
)
SIGNING_SECRETS = every_field(SigningSecret, secret_id=TEXT, source_app=TEXT, fingerprint=TEXT, created_at=TIMES)
CALLERS = every_field(
    Caller,
    key_id=TEXT,
    source_app=TEXT,
    scopes=st.lists(TEXT).map(tuple),
    networks=st.lists(TEXT).map(tuple),
    memo=TEXT,
    user_name=TEXT,
    password=TEXT,
    fingerprint=TEXT,
    created_at=TIMES,
    created_by=TEXT,
)
BREAKERS = every_field(Breaker, failure_share=st.floats(0, 1), window=TIMES, least_attempts=COUNTS, open_seconds=TIMES)
TARGETS = every_field(
    Target,
    name=TEXT,
    paused_at=st.none() | TIMES,
    max_concurrency=st.none() | COUNTS,
    rate_per_second=st.none() | TIMES,
    breaker=st.none() | BREAKERS,
    version=COUNTS,
    updated_at=TIMES,
    updated_by=TEXT,
)
COUNTED = st.dictionaries(TEXT, COUNTS, max_size=3)
GATES = every_field(
    Gate,
    inside=COUNTED,
    next_at=TIMES,
    tried=COUNTED,
    failed=COUNTED,
    opened_at=st.none() | TIMES,
    open_until=st.none() | TIMES,
    probe=TEXT,
    probe_until=TIMES,
    waits=st.booleans(),
)
DESKS = every_field(Desk, channel_id=TEXT, version=COUNTS, notice_id=TEXT, opened_at=TIMES, due_at=TIMES)
ROBOTS = every_field(Robot, robot_id=TEXT, version=COUNTS, busy_until=TIMES, rests_until=TIMES)
AUDITS = every_field(
    Audit,
    at=TIMES,
    actor=TEXT,
    action=TEXT,
    subject=TEXT,
    address=TEXT,
    detail=st.dictionaries(TEXT, JSON, max_size=3),
    result=TEXT,
    part=st.booleans(),
)
OPERATORS = every_field(
    Operator,
    name=TEXT,
    role=st.sampled_from(Role),
    password=TEXT,
    disabled=st.booleans(),
    era=TEXT,
    device_key=TEXT,
    created_at=TIMES,
    created_by=TEXT,
    password_at=TIMES,
)
SESSIONS = every_field(
    Session,
    session_id=TEXT,
    operator=TEXT,
    era=TEXT,
    seen_at=TIMES,
    expires_at=TIMES,
    ends_at=TIMES,
    version=COUNTS,
)
TRIES = every_field(Tries, of=TEXT, failed=COUNTS, last_at=TIMES, expires_at=TIMES, version=COUNTS)


def kinds(value: Any) -> Any:
    """Of a record and the records in it, what each field is. A status equals its name, and is none."""
    if dataclasses.is_dataclass(value):
        return {field.name: kinds(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return float if type(value) is int else type(value)


@share(0.6)
@given(
    TASKS
    | MENTIONS
    | NOTICES
    | DESKS
    | ROBOTS
    | CHANNELS
    | RESENDS
    | SIGNING_SECRETS
    | CALLERS
    | TARGETS
    | GATES
    | AUDITS
    | OPERATORS
    | SESSIONS
    | TRIES
)
def test_a_record_reads_back_as_it_was(record: Record) -> None:
    text = to_json(record)
    text.encode()  # what cannot be stored as UTF-8 raises here
    again = from_json(type(record), text)
    assert again == record
    assert kinds(again) == kinds(record)


@share(0.4)
@given(TASKS)
def test_a_packed_record_reads_back_without_json_in_between_too(task: Task) -> None:
    again = unpack(Task, pack(task))
    assert again == task
    assert kinds(again) == kinds(task)


@given(JSON)
def test_a_json_value_keeps_every_digit_and_type(value: Json) -> None:
    assert repr(json.loads(dumps(value))) == repr(value)


def request(**changes: Json) -> Request:
    policy = Policy(max_attempts=3, backoff="fixed", initial=60, deadline=3600)
    return Request(url="https://a.example/", expect=Expectation(), retry=policy, timeout=10, **changes)


def test_what_holds_its_default_is_left_out() -> None:
    assert pack(request()) == {
        "url": "https://a.example/",
        "expect": {},
        "retry": {"max_attempts": 3, "backoff": "fixed", "initial": 60, "deadline": 3600},
        "timeout": 10,
    }


def test_a_field_added_since_reads_as_its_default() -> None:
    old_row = {**pack(request()), "expect": {}}
    assert unpack(Request, old_row).labels == {}


def test_a_field_that_only_a_newer_version_knows_is_passed_over() -> None:
    assert unpack(Request, {**pack(request()), "colour": "red"}) == request()


@pytest.mark.parametrize("body", [None, 0, False, "", [], {}])
def test_an_empty_body_stays_the_empty_body_it_was(body: Json) -> None:
    again = from_json(Request, to_json(request(body=body)))
    assert again.body == (body if isinstance(body, str | None) else JsonText(json.dumps(body)))


@pytest.mark.parametrize(
    "text",
    ["1.10", "-0", "1E5", ' {"b" : 1.0,\n"a":[ 12345678901234567890.50 ] }'.strip(), '{"body":{"body":1.0}}', "[{}]"],
)
def test_the_text_of_a_body_and_of_numbers_comes_back(text: str) -> None:
    it = request(body=JsonText(text), params={"n": JsonText("10.00")}, labels={"body": '{"body":'})
    assert from_json(Request, to_json(it)) == it


def test_the_body_of_a_row_of_an_older_release_is_its_json() -> None:
    row = to_json(request()).replace('"body":', '"was":')[:-1] + ',"body":{"a":[1.5,true],"b":"上海"}}'
    assert from_json(Request, row).body == JsonText('{"a":[1.5,true],"b":"上海"}')


def test_chinese_text_stays_as_it_is() -> None:
    assert dumps({"城市": "上海"}) == '{"城市":"上海"}'


def test_half_a_surrogate_pair_can_be_stored_and_reads_back() -> None:
    text = dumps("海\ud800")
    assert text == '"海\\ud800"'
    assert json.loads(text) == "海\ud800"
