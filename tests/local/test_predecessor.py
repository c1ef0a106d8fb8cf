"""A client of the predecessor at the whole local run: the very bytes that its SDK sends, and what comes of them."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from tests.api.test_predecessor import JAVA, USER, bean
from tests.local.conftest import running


def test_what_the_old_sdk_posts_is_taken_and_arrives(tmp_path: Path) -> None:
    with running(tmp_path) as here:
        made = {"source_app": "*", "networks": ["127.0.0.0/8"], "user_name": "admin", "password": USER["password"]}
        created = here.api("POST", "/v1/callers", json.dumps(made).encode(), {"Content-Type": "application/json"})
        assert created.status == 201, created.body
        where = f"{here.access['receiver']}/ok?city={{city}}"
        raw = json.dumps(bean(url=where, requestParam={"city": "上海 a&b"}), ensure_ascii=False).encode()
        reply = here.api("POST", "/api/addTask", raw, {**JAVA, **USER})
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain;charset=UTF-8")
        task_id = reply.body.decode()
        assert str(UUID(task_id)) == task_id
        task = here.until(task_id, "delivered")
        assert task["url"] == f"{here.access['receiver']}/ok?city=%E4%B8%8A%E6%B5%B7%20a%26b"
        assert (task["attempts"][0]["status_code"], task["labels"]["source_ip"]) == (200, "127.0.0.1")


def test_who_is_not_known_is_refused_without_a_word_and_what_is_wrong_is_said(tmp_path: Path) -> None:
    with running(tmp_path) as here:
        refused = here.api("POST", "/api/addTask", json.dumps(bean()).encode(), {**JAVA, **USER})
        assert (refused.status, refused.body) == (401, b"")
        wrong = here.api("POST", "/api/addTask", json.dumps(bean(url="x")).encode(), JAVA)
        assert (wrong.status, wrong.headers["Content-Type"]) == (400, "text/plain;charset=UTF-8")
        assert wrong.body.decode().startswith("任务添加失败，url为空或url格式不正确")
