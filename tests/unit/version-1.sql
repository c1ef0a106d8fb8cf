-- A file that version 1 of the embedded adapters wrote: three tasks, a channel, a notice, a message. It never changes.
BEGIN TRANSACTION;
CREATE TABLE attempts (task_id TEXT NOT NULL, fence INTEGER NOT NULL, attempt TEXT NOT NULL);
CREATE TABLE audits (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, at REAL NOT NULL, audit TEXT NOT NULL);
INSERT INTO "audits" VALUES(1,'delivered',1900000000.0,'{"at":1900000000.0,"actor":"晓明","action":"task.cancel","subject":"delivered","address":"192.0.2.7"}');
INSERT INTO "audits" VALUES(2,'team',1900000000.0,'{"at":1900000000.0,"actor":"晓明","action":"task.cancel","subject":"team","address":"192.0.2.7"}');
CREATE TABLE channels (
    channel_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    created_at REAL NOT NULL,
    channel TEXT NOT NULL
);
INSERT INTO "channels" VALUES('team',1,1900000000.0,'{"channel_id":"team","kind":"dingtalk","url":"https://robot.example/send?access_token=t","secret":"SEC","template":"{\"text\": \"任务 ${taskId} 失败\"}","source_apps":["orders"],"version":1,"created_at":1900000000.0,"updated_at":1900000000.0}');
CREATE TABLE counters (
    unit TEXT NOT NULL,
    start INTEGER NOT NULL,
    name TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (unit, start, name)
) WITHOUT ROWID;
INSERT INTO "counters" VALUES('day',1899936000,'accepted',3);
INSERT INTO "counters" VALUES('day',1899936000,'delivered',1);
INSERT INTO "counters" VALUES('day',1899936000,'failed_attempts',1);
INSERT INTO "counters" VALUES('day',1899936000,'in_delivered',1);
INSERT INTO "counters" VALUES('day',1899936000,'in_pending',1);
INSERT INTO "counters" VALUES('day',1899936000,'in_retrying',1);
INSERT INTO "counters" VALUES('hour',1899997200,'accepted',3);
INSERT INTO "counters" VALUES('hour',1899997200,'delivered',1);
INSERT INTO "counters" VALUES('hour',1899997200,'failed_attempts',1);
INSERT INTO "counters" VALUES('hour',1899997200,'in_delivered',1);
INSERT INTO "counters" VALUES('hour',1899997200,'in_pending',1);
INSERT INTO "counters" VALUES('hour',1899997200,'in_retrying',1);
INSERT INTO "counters" VALUES('total',0,'accepted',3);
INSERT INTO "counters" VALUES('total',0,'delivered',1);
INSERT INTO "counters" VALUES('total',0,'failed_attempts',1);
INSERT INTO "counters" VALUES('total',0,'in_delivered',1);
INSERT INTO "counters" VALUES('total',0,'in_pending',1);
INSERT INTO "counters" VALUES('total',0,'in_retrying',1);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a receipt names it
    queue TEXT NOT NULL,
    group_name TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,  -- ready; in hand: received and worked on; waiting: delayed or hidden
    visible_at REAL NOT NULL,
    received_at REAL,
    count INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "messages" VALUES(1,'tasks','https://partner.example:443','{"task_id":"pending","ticket":1}','ready',1900000000.0,NULL,0);
CREATE TABLE notices (
    task_id TEXT NOT NULL,
    notice_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    created_at REAL NOT NULL,
    notice TEXT NOT NULL
);
INSERT INTO "notices" VALUES('delivered','1#team',1,0.0,1900000000.0,'{"notice_id":"1#team","task_id":"delivered","round":1,"channel_id":"team","channel_kind":"dingtalk","version":1,"due_at":1900000000.0,"created_at":1900000000.0}');
CREATE TABLE requests (id INTEGER PRIMARY KEY, request TEXT NOT NULL);
INSERT INTO "requests" VALUES(1,'{"url":"https://partner.example/callback","headers":{"X-Order":"42"},"body":{"order":42},"expect":{"contains":"success"},"retry":{"max_attempts":3,"backoff":"fixed","initial":60,"deadline":86400},"timeout":10}');
INSERT INTO "requests" VALUES(2,'{"url":"https://partner.example/callback","headers":{"X-Order":"42"},"body":{"order":42},"expect":{"contains":"success"},"retry":{"max_attempts":3,"backoff":"fixed","initial":60,"deadline":86400},"timeout":10}');
INSERT INTO "requests" VALUES(3,'{"url":"https://partner.example/callback","headers":{"X-Order":"42"},"body":{"order":42},"expect":{"contains":"success"},"retry":{"max_attempts":3,"backoff":"fixed","initial":60,"deadline":86400},"timeout":10}');
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    source_app TEXT NOT NULL,
    target_app TEXT NOT NULL,
    target TEXT NOT NULL,
    url TEXT NOT NULL,
    created_at REAL NOT NULL,
    wake_at REAL,
    lease_until REAL NOT NULL,
    expires_at INTEGER,
    task TEXT NOT NULL  -- without its request, which is larger and seldom changes
);
INSERT INTO "tasks" VALUES(1,'pending',1,'pending','default','default','https://partner.example:443','https://partner.example/callback',1900000000.0,1900000600.0,0.0,NULL,'{"task_id":"pending","caller":"tests","digest":"dddddddddddddddddddddddddddddddd","created_at":1900000000.0,"updated_at":1900000000.0,"round_started_at":1900000000.0,"due_at":1900000000.0,"wake_at":1900000600.0}');
INSERT INTO "tasks" VALUES(2,'retrying',3,'retrying','default','default','https://partner.example:443','https://partner.example/callback',1900000000.0,1900000662.0,0.0,NULL,'{"task_id":"retrying","caller":"tests","digest":"dddddddddddddddddddddddddddddddd","created_at":1900000000.0,"updated_at":1900000002.0,"status":"retrying","version":3,"round_started_at":1900000000.0,"number":1,"fence":1,"due_at":1900000062.0,"claimed_at":1900000001.0,"wake_at":1900000662.0,"last":{"number":1,"round":1,"fence":1,"started_at":1900000001.0,"verdict":"failed","duration_ms":120,"status_code":503,"kind":"reply","reason":"status 503 not in 2xx","reply":"busy","reply_bytes":4,"wait":60}}');
INSERT INTO "tasks" VALUES(3,'delivered',3,'delivered','default','default','https://partner.example:443','https://partner.example/callback',1900000000.0,NULL,0.0,1902592002,'{"task_id":"delivered","caller":"tests","digest":"dddddddddddddddddddddddddddddddd","created_at":1900000000.0,"updated_at":1900000002.0,"status":"delivered","version":3,"round_started_at":1900000000.0,"number":1,"fence":1,"due_at":1900000000.0,"claimed_at":1900000001.0,"wake_at":null,"last":{"number":1,"round":1,"fence":1,"started_at":1900000001.0,"verdict":"delivered","duration_ms":120,"status_code":200,"reply":"success","reply_bytes":7},"expires_at":1902592002}');
CREATE INDEX tasks_by_time ON tasks (created_at, task_id);
CREATE INDEX tasks_by_status ON tasks (status, created_at, task_id);
CREATE INDEX tasks_by_source_app ON tasks (source_app, created_at, task_id);
CREATE INDEX tasks_by_target_app ON tasks (target_app, created_at, task_id);
CREATE INDEX tasks_by_target ON tasks (target, created_at, task_id);
CREATE INDEX tasks_due ON tasks (wake_at, task_id) WHERE wake_at IS NOT NULL;
CREATE INDEX tasks_leased ON tasks (lease_until) WHERE lease_until > 0;
CREATE INDEX tasks_expired ON tasks (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX attempts_of_task ON attempts (task_id, fence);
CREATE UNIQUE INDEX notices_of_task ON notices (task_id, notice_id);
CREATE INDEX notices_leased ON notices (lease_until) WHERE lease_until > 0;
CREATE INDEX audits_of_subject ON audits (subject, at, id);
CREATE INDEX messages_ready ON messages (queue, group_name, id) WHERE state = 'ready';
CREATE INDEX messages_in_hand ON messages (queue, group_name) WHERE state = 'in hand';
CREATE INDEX messages_timed ON messages (queue, visible_at, count) WHERE state <> 'ready';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('messages',1);
COMMIT;
PRAGMA user_version = 1;
