// Looking and acting: what a component does with the API.
import { Problem, refreshed } from "./api.js";
import { expired } from "./session.js";
import { useCallback, useEffect, useMemo, useState } from "./vendor/htm-preact.js";

/**
 * What `load(signal)` gives, looked at again whenever `inputs` change, the reader refreshes, and every so many
 * seconds; not while the tab is hidden or the session has ended. What was there stays while something new is on its way.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @returns {{data: T | undefined, problem: Problem | null, again: () => void}}
 */
export function useLoaded(load, inputs, every = 0) {
  const [found, setFound] = useState({ data: undefined, problem: null });
  const [asked, ask] = useState(0);
  const pulse = refreshed.use();
  useEffect(() => {
    const control = new AbortController();
    const look = async () => {
      try {
        const data = await load(control.signal);
        if (!control.signal.aborted) setFound({ data, problem: null });
      } catch (problem) {
        if (control.signal.aborted) return;
        if (!(problem instanceof Problem)) throw problem;
        setFound((before) => ({ ...before, problem }));
      }
    };
    keepLooking(look, every, control.signal);
    return () => control.abort();
  }, [...inputs, every, pulse, asked]);
  return { ...found, again: useCallback(() => ask((count) => count + 1), []) };
}

/** Look now and, if `every` says so, again and again while the tab is seen. One that is seen again looks at once. */
function keepLooking(look, every, signal) {
  look();
  if (!every) return;
  const timer = setInterval(() => document.hidden || expired.get() || look(), every * 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  document.addEventListener("visibilitychange", () => document.hidden || look(), { signal });
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
    } catch (problem) {
      setState({ busy: false, problem });
      if (!(problem instanceof Problem)) throw problem;
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
