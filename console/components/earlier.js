// Attempts that do not fit into the answer of their task: fetched page by page, and kept while newer ones come.
import { get } from "../api.js";
import { useRef } from "../vendor/htm-preact.js";
import { useAction } from "../work.js";
import { nameOf } from "./timeline.js";

/** What is known once the task is looked at again. Without an overlap some would be missing in between: begin anew. */
export function withEarlier(known, task) {
  if (!task.attempts_cursor) return { attempts: task.attempts, cursor: null };
  const shown = new Set(task.attempts.map(nameOf));
  const earlier = known.attempts.filter((it) => !shown.has(nameOf(it)));
  if (earlier.length === known.attempts.length) return { attempts: task.attempts, cursor: task.attempts_cursor };
  return { attempts: [...earlier, ...task.attempts], cursor: known.cursor };
}

/** The attempts of a task, oldest first, and how to fetch earlier ones; `fetch` is null when all are here. */
export function useAttempts(task) {
  const known = useRef({ attempts: [], cursor: null });
  known.current = withEarlier(known.current, task);
  const { run, busy, problem } = useAction(async () => {
    const { cursor } = known.current;
    const at = `v1/tasks/${encodeURIComponent(task.task_id)}/attempts`;
    const page = await get(at, { cursor, limit: 50 }, undefined, ["attempts[]", "cursor"]);
    if (known.current.cursor !== cursor) return;
    known.current = { attempts: [...page.attempts.reverse(), ...known.current.attempts], cursor: page.cursor };
  });
  return { attempts: known.current.attempts, fetch: known.current.cursor ? run : null, busy, problem };
}
