"""Mutants of the code that meets the outside world: replies, URLs, names, channels, the database's files, the SDK.

Each names the test that detects it.
"""

from __future__ import annotations

from tests.mutants.mutants import DYNAMO, EMBEDDED, NOTIFY, Mutant

REPLY_HEAD = "chalicelib/reply_head.py"
REPLY = "chalicelib/reply.py"
OUTBOUND = "chalicelib/outbound.py"
DATABASE_FILE = "chalicelib/database_file.py"
SMTP = "chalicelib/smtp.py"
PROFILES = "sdk/src/kkbida/cli/profiles_file.py"

BOUNDARY = (
    # ── replies ──
    Mutant(
        "whitespace before a colon is part of a header's name",
        REPLY_HEAD,
        '        name = name.rstrip(b" \\t")\n',
        "",
        "tests/unit/test_reply.py",
    ),
    Mutant(
        "two lengths that differ: the first counts",
        REPLY_HEAD,
        "    if len(numbers) > 1:",
        "    if len(numbers) > 2:",
        "tests/unit/test_reply.py",
    ),
    Mutant(
        "a head of any number of lines",
        REPLY_HEAD,
        "        if self._lines > MAX_HEADER_LINES:",
        "        if self._lines > 10**9:",
        "tests/unit/test_reply.py",
    ),
    Mutant(
        "HTTP/1.0 with chunks",
        REPLY_HEAD,
        "    if codings and head.minor == 0:",
        "    if codings and head.minor < 0:",
        "tests/unit/test_reply.py",
    ),
    Mutant(
        "the size of a chunk as Python reads numbers",
        REPLY,
        'rb"([0-9A-Fa-f]+)[ \\t]*',
        'rb"([0-9A-Fa-f_]+)[ \\t]*',
        "tests/unit/test_reply.py",
    ),
    Mutant(
        "a chunk may go on beyond its size",
        REPLY,
        "            if end := self._line(only_crlf=True):",
        "            if end := self._line(only_crlf=True)[:0]:",
        "tests/unit/test_reply.py",
    ),
    Mutant(
        "what is no HTTP is read to the end of its line",
        REPLY,
        "prefix.startswith(self._buffer):",
        "True:",
        "tests/unit/test_reply.py",
    ),
    Mutant(
        "a gzip body that was cut is complete",
        REPLY,
        "            rest = stream.unused_data\n    if not stream.eof:",
        "            rest = stream.unused_data\n    if False:",
        "tests/unit/test_reply.py",
    ),
    Mutant(
        "a body in an unknown encoding is judged as text",
        "chalicelib/delivery/judge.py",
        "    if reply.undecoded:\n",
        "    if False:\n",
        "tests/unit/test_judge.py",
    ),
    # ── where to ──
    Mutant(
        "an empty query is dropped",
        "chalicelib/url.py",
        "f\"{path or '/'}{query or ''}\"",
        "f\"{path or '/'}{(query or '').rstrip('?')}\"",
        "tests/unit/test_url.py",
    ),
    Mutant(
        "one domain may have every look-up",
        "chalicelib/name_lookup.py",
        "self._of_domain[new.domain] < MAX_OF_DOMAIN",
        "self._of_domain[new.domain] < 10**9",
        "tests/unit/test_name_lookup.py",
    ),
    Mutant(
        "look-ups that hang are not counted",
        "chalicelib/name_lookup.py",
        "                self._hanging += 1\n",
        "",
        "tests/unit/test_name_lookup.py",
    ),
    Mutant(
        "subdomains of localhost are looked up",
        OUTBOUND,
        "        if is_localhost(host):",
        '        if host.removesuffix(".") == "localhost":',
        "tests/unit/test_outbound.py",
    ),
    Mutant(
        "a client certificate that is missing is not told in TLS 1.2",
        "chalicelib/tls.py",
        "error.cipher_chosen = self.cipher() is not None",
        "error.cipher_chosen = False",
        "tests/unit/test_outbound.py",
    ),
    Mutant(
        "the private authorities are not read",
        "chalicelib/tls.py",
        "    if ca_bundle:\n",
        "    if False:\n",
        "tests/unit/test_outbound.py",
    ),
    Mutant(
        "a stalled handshake is told as a missing connection",
        OUTBOUND,
        "            raise SendFailed(Kind.TLS, self._handshake_failure(error)) from None",
        "            raise SendFailed(Kind.CONNECT_TIMEOUT, self._handshake_failure(error)) from None",
        "tests/unit/test_outbound.py",
    ),
    # ── channels ──
    Mutant(
        "a mention in a message stays one",
        "chalicelib/notify/markup.py",
        "    for found in (_ENTITY, _IN_TEXT, _LINK, _AT_THE_START):",
        "    for found in (_ENTITY, _LINK, _AT_THE_START):",
        "tests/unit/test_markup.py",
    ),
    Mutant(
        "a digest shows error texts as they came",
        "chalicelib/notify/message.py",
        "        errors=_recounted(gist.errors, kind.plain),",
        "        errors=gist.errors,",
        "tests/unit/test_markup.py",
    ),
    Mutant(
        "an ambiguous code is always throttling",
        "chalicelib/notify/throttling.py",
        "    Throttled(codes=frozenset({9_499}), message=_TOO_MANY),",
        "    Throttled(codes=frozenset({9_499})),",
        "tests/unit/test_throttling.py",
    ),
    Mutant(
        "a throttled channel is asked sooner than it wants",
        NOTIFY,
        " * random.uniform(1, 1.5), sent.wait)",
        " * random.uniform(1, 1.5), 0)",
        "tests/unit/test_notice.py",
    ),
    Mutant(
        "those who took the letter get it again",
        NOTIFY,
        "        taken=(*notice.taken, *sent.taken),",
        "        taken=notice.taken,",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "an SMTP password goes without TLS",
        SMTP,
        "            return\n        if not server.is_encrypted:",
        "            return\n        if False:",
        "tests/unit/test_smtp.py",
    ),
    Mutant(
        "an SMTP server's name is not checked",
        SMTP,
        "        self._context = context\n        self._tls_at_once",
        "        context.check_hostname = False\n        self._context = context\n        self._tls_at_once",
        "tests/unit/test_smtp.py",
    ),
    Mutant(
        "a sealed text opens for another record",
        "chalicelib/sealing.py",
        "plain.encode(), of.encode(), nonce",
        'plain.encode(), b"", nonce',
        "tests/contract/test_sealing.py",
    ),
    Mutant(
        "DynamoDB: the address of a channel in the clear",
        DYNAMO,
        "text=self._sealer.row(channel))",
        "text=to_json(channel))",
        "tests/contract/test_sealing.py",
    ),
    Mutant(
        "SQLite: the address of a channel in the clear",
        EMBEDDED,
        "        text = self._sealer.row(channel)\n",
        "        text = to_json(channel)\n",
        "tests/contract/test_sealing.py",
    ),
    Mutant(
        "a master key in use is dropped",
        "chalicelib/master_keys.py",
        "    kept = tuple(it for it in older if needed[key_id(it)])",
        "    kept: tuple[bytes, ...] = ()",
        "tests/contract/test_sealing.py",
    ),
    # ── the files of the database, and the local server ──
    Mutant(
        "SQLite: a change by another program is not looked at",
        DATABASE_FILE,
        "        if self._look() != self._seen:\n",
        "        if self._look() is None:\n",
        "tests/unit/test_database_file.py",
    ),
    Mutant(
        "SQLite: a hole in the log is taken for frames",
        DATABASE_FILE,
        "            and self._has_frame_before(before.log_size)\n",
        "",
        "tests/unit/test_database_file.py",
    ),
    Mutant(
        "SQLite: only the lock file holds the database",
        DATABASE_FILE,
        "            _lock_range(descriptor, path)\n",
        "",
        "tests/unit/test_database_file.py",
    ),
    Mutant(
        "SQLite: nothing is looked at after a commit",
        EMBEDDED,
        "        self._watch.after_commit()\n",
        "",
        "tests/unit/test_database_file.py",
    ),
    Mutant(
        "SQLite: the index of a log is not believed",
        "chalicelib/write_ahead_log.py",
        "    return valid < owed or is_damaged",
        "    return is_damaged",
        "tests/unit/test_database_file.py",
    ),
    Mutant(
        "a new folder's name is not synced",
        "chalicelib/folders.py",
        "    sync_folder(parent)\n",
        "",
        "tests/unit/test_database_file.py",
    ),
    Mutant(
        "two Hosts are taken",
        "infra/local/request.py",
        "        if names[name] > 1:",
        "        if names[name] > 2:",
        "tests/local/test_hostile.py",
    ),
    Mutant(
        "spaces around a header stay",
        "infra/local/request.py",
        '    value = value.strip(b" \\t")\n',
        "",
        "tests/local/test_connections.py",
    ),
    # ── the SDK and the command line ──
    Mutant(
        "a forked process keeps its parent's connection",
        "sdk/src/kkbida/client.py",
        '        if getattr(self._own, "process", None) != os.getpid():',
        '        if getattr(self._own, "process", None) is None:',
        "tests/sdk/test_kept.py",
    ),
    Mutant(
        "a section named DEFAULT lends its values",
        PROFILES,
        'RawConfigParser(default_section="")',
        "RawConfigParser()",
        "tests/sdk/test_profiles.py",
    ),
    Mutant(
        "profiles are written without the lock",
        PROFILES,
        "                _lock(handle)\n",
        "                pass\n",
        "tests/sdk/test_profiles.py",
    ),
    Mutant(
        "a refusal of a proxy counts as kkbida's",
        "sdk/src/kkbida/operations.py",
        'if isinstance(told.get("code"), str):',
        "if reply.status not in PASSING:",
        "tests/sdk/test_talk.py",
    ),
    Mutant(
        "lines are sent before all are checked",
        "sdk/src/kkbida/cli/tasks.py",
        "    total = lines.checked()\n",
        "    total = 0\n",
        "tests/sdk/test_given.py",
    ),
    Mutant(
        "a length that is no number is read",
        "sdk/src/kkbida/receiver.py",
        '    if not (text.isascii() and text.isdecimal()):\n        raise NotGenuine("its Content-Length',
        '    if not text.lstrip("+-").isdecimal():\n        raise NotGenuine("its Content-Length',
        "tests/sdk/test_receiver.py",
    ),
    Mutant(
        "wait ends with the first look that fails",
        "sdk/src/kkbida/talk.py",
        "                if task is None:\n                    raise\n",
        "                raise\n",
        "tests/sdk/test_ending.py",
    ),
)
