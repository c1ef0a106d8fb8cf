# A working day with the command line, as a person types it: `kkbida` is installed, a local run serves in $DATA.
# A line that ends otherwise than it should ends all of it.
set -euo pipefail

ends() { # ends CODE COMMAND...: the command, which must end with that code
  local code=0
  "${@:2}" || code=$?
  [ "$code" = "$1" ] || { echo "ended with $code, not $1: ${*:2}" >&2; exit 1; }
}
member() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

echo "== a caller for the shop, kept in a profile of its own"
caller=$(kkbida --local callers add shop --memo "the shop" --json)
member secret <<<"$caller" | kkbida profiles add shop --url "$API" --key-id "$(member key_id <<<"$caller")"
export KKBIDA_PROFILE=shop
kkbida whoami
until kkbida list >/dev/null 2>&1; do :; done # a new key is known everywhere within five seconds

echo "== a task that arrives at the second try"
task=$(kkbida submit "$RECEIVER/fail/1" -d '{"order": 42}' --contains success --schedule 0.2 --label order=42)
kkbida watch "$task" --every 0.1
kkbida show "$task"
kkbida show "$task" --json | member status

echo "== one that does not, and is sent elsewhere"
lost=$(kkbida submit "$RECEIVER/status/500" --max-attempts 1)
ends 1 kkbida watch "$lost" --every 0.1
kkbida list --status exhausted
kkbida resend "$lost" --to-url "$RECEIVER/ok"
kkbida watch "$lost" --every 0.1

echo "== one for later, which is cancelled"
later=$(kkbida submit "$RECEIVER/ok" --delay 7200 --key shop-7)
[ "$later" = "$(kkbida submit "$RECEIVER/ok" --delay 7200 --key shop-7)" ]
kkbida cancel "$later"
ends 3 kkbida cancel "$later"
ends 4 kkbida show no-such-task

echo "== what a caller may not, an operator may"
ends 3 kkbida channels list
kkbida --local channels add dingtalk "$RECEIVER/dingtalk"
for n in 1 2 3; do echo "{\"url\": \"$RECEIVER/status/500?many=$n\", \"retry\": {\"max_attempts\": 1}}"; done |
  kkbida submit --from - >/dev/null
until [ "$(kkbida list -q many= --status exhausted --json | wc -l)" = 3 ]; do :; done
kkbida --local resend -q many= --dry-run
kkbida --local resend -q many= --rate 100 --yes
kkbida --local targets pause "$RECEIVER"
kkbida --local targets list
kkbida --local targets resume "$RECEIVER"

echo "== an operator comes and goes"
password="a long password of hers"
kkbida --local operators add ann --role viewer <<<"$password"
kkbida profiles add ann --url "$API"
kkbida --profile ann login --name ann <<<"$password"
kkbida --profile ann whoami
kkbida --profile ann list --limit 1 >/dev/null
ends 3 kkbida --profile ann targets pause "$RECEIVER"
kkbida --local operators change ann --disable
ends 3 kkbida --profile ann list
kkbida --local audit --on operator:ann

echo "== what is taken home"
kkbida export --format csv -o "$HOME/tasks.csv"
head -1 "$HOME/tasks.csv"
kkbida --local status
kkbida profiles remove shop
ends 2 kkbida list
echo "== the end"
