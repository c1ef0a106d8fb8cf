// Looking and acting: what a component does with the API.
import { MAX_WAIT_SECONDS, Problem, refreshed } from "./api.js";
import { expired } from "./session.js";
import { useCallback, useEffect, useMemo, useState } from "./vendor/htm-preact.js";

/**
 * What `load(signal)` gives, looked at again whenever `inputs` change, the reader refreshes, and every so many seconds; not
 * while the tab is hidden or the session has ended. One request is under way at a time: another look aborts the one before,
 * and a regular look waits for it. What was there stays while something new is on its way; what other inputs gave goes,
 * unless `keeps`.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {any[]} inputs
 * @returns {{data: T | undefined, problem: Problem | null, again: () => void}}
 */
export function useLoaded(load, inputs, every = 0, { keeps = false } = {}) {
  const key = JSON.stringify(inputs);
  const [found, setFound] = useState({ key, data: undefined, problem: null });
  const [asked, ask] = useState(0);
  const pulse = refreshed.use();
  useEffect(() => {
    const control = new AbortController();
    const look = async (signal) => {
      try {
        const data = await load(signal);
        if (!signal.aborted) setFound({ key, data, problem: null });
      } catch (error) {
        if (control.signal.aborted) return; // the reader has left, or asks for something else
        const problem = asProblem(error);
        setFound((before) => ({ key, data: keeps || before.key === key ? before.data : undefined, problem }));
      }
    };
    keepLooking(look, every, control.signal);
    return () => control.abort();
  }, [key, every, pulse, asked]);
  const shown = keeps || found.key === key ? found : { data: undefined, problem: null };
  return { ...shown, again: useCallback(() => ask((count) => count + 1), []) };
}

/** What is no Problem is a fault of ours, or of an answer that has another shape than kkbida's. */
function asProblem(error) {
  if (error instanceof Problem) return error;
  console.error(error);
  return new Problem({ code: "unintelligible" });
}

/** Seconds after which a regular look replaces one without an answer; each time it waits for twice as long. */
const FIRST_WAIT_SECONDS = 10;

/** Look now and, if `every` says so, again and again while the tab is seen. One that is seen again looks at once. */
function keepLooking(look, every, signal) {
  let current = null;
  let started = 0;
  let wait = FIRST_WAIT_SECONDS;
  const start = async () => {
    const control = new AbortController();
    current = control;
    started = Date.now();
    await look(control.signal);
    if (current === control) current = null;
  };
  const lookAgain = () => {
    if (document.hidden || expired.get()) return;
    if (current && Date.now() - started < wait * 1000) return;
    if (current) wait = Math.min(2 * wait, MAX_WAIT_SECONDS);
    current?.abort(new Problem({ code: "late" }));
    start();
  };
  start();
  signal.addEventListener("abort", () => current?.abort());
  if (!every) return;
  const timer = setInterval(lookAgain, every * 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  document.addEventListener("visibilitychange", lookAgain, { signal });
}

/**
 * Something that is done on a click: whether it is under way, and why it was refused.
 * `run` gives what `work` gives, undefined when it was refused.
 * @template T
 * @param {(...given: any[]) => Promise<T>} work
 */
export function useAction(work) {
  const [state, setState] = useState({ busy: false, problem: null });
  const run = async (...given) => {
    setState({ busy: true, problem: null });
    try {
      const result = await work(...given);
      setState({ busy: false, problem: null });
      return result ?? null;
    } catch (error) {
      setState({ busy: false, problem: asProblem(error) });
      return undefined;
    }
  };
  return { ...state, run };
}

let ids = 0;

/** An id for an element of this component, the same for its whole life. */
export function useId() {
  return useMemo(() => `id-${(ids += 1)}`, []);
}
