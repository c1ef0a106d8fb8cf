// A list of tasks that is looked at anew without moving: rows change where they stand, new ones wait to be asked for.
import { get } from "../api.js";
import { useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { useLoaded } from "../work.js";

const EVERY = 3;
const LOOKS = 5;
const LIMIT = 50;
const MOST_MISSED = 20;

/** A page of the list. A page of the API may be short although there is more: then it is asked again, a few times. */
async function load(query, signal) {
  const limit = Number(query.limit) || LIMIT;
  let cursor = query.cursor ?? "";
  const tasks = [];
  for (let look = 0; look < LOOKS; look += 1) {
    const page = await get("v1/tasks", { ...query, limit, cursor }, signal, ["tasks[]", "cursor"]);
    tasks.push(...page.tasks);
    cursor = page.cursor;
    if (!cursor || tasks.length >= limit / 2) break;
  }
  return { tasks, cursor };
}

/** @returns the rows that are shown, how many have arrived meanwhile, and `show`, which shows them */
export function useLiveTasks(query) {
  const asked = JSON.stringify(query);
  const page = useLoaded(async (signal) => ({ asked, ...(await load(query, signal)) }), [asked], EVERY);
  const shown = useRef({ asked: null, rows: [] });
  const [, draw] = useState(0);
  const fresh = page.data?.asked === asked ? page.data : undefined;
  useEffect(() => {
    if (!fresh) return undefined;
    const control = new AbortController();
    if (shown.current.asked !== asked) shown.current = { asked, rows: fresh.tasks };
    else shown.current = { asked, rows: anew(shown.current.rows, fresh) };
    draw((count) => count + 1);
    follow(shown.current.rows, draw, control.signal);
    return () => control.abort();
  }, [fresh]);
  const current = shown.current.asked === asked;
  const rows = current ? shown.current.rows : [];
  return {
    ...page,
    data: current ? rows : undefined,
    rows,
    cursor: fresh?.cursor ?? null,
    arrived: current && fresh ? arrivals(rows, fresh.tasks) : 0,
    show: () => {
      shown.current = { asked: null, rows: [] };
      page.again();
    },
  };
}

/** The shown rows with what is known of them now. One that has left the list stays, and is marked as `gone`. */
export function anew(rows, { tasks, cursor }) {
  const now = new Map(tasks.map((task) => [task.task_id, task]));
  const oldest = cursor && tasks.length ? tasks.at(-1).created_at : "";
  return rows.map((row) => now.get(row.task_id) ?? (row.created_at > oldest ? { ...row, gone: true } : row));
}

export function arrivals(rows, tasks) {
  const known = new Set(rows.map((row) => row.task_id));
  const newest = rows[0]?.created_at ?? "";
  return tasks.filter((task) => !known.has(task.task_id) && task.created_at >= newest).length;
}

/** Find out, once each, where the tasks stand that have left the list. */
async function follow(rows, draw, signal) {
  const missed = rows.filter((row) => row.gone && !row.followed).slice(0, MOST_MISSED);
  for (const row of missed) {
    const task = await get(`v1/tasks/${row.task_id}`, {}, signal, ["status"]).catch(() => null);
    if (signal.aborted) return;
    row.followed = true;
    if (!task) continue;
    const { status, held, scheduled, next_try_at, attempts_made, last_reason } = task;
    Object.assign(row, { status, held, scheduled, next_try_at, attempts_made, last_reason });
    draw((count) => count + 1);
  }
}
