// The one way in which modules share what changes.
import { useEffect, useState } from "./vendor/htm-preact.js";

/**
 * A value that components can watch: `use()` in a component gives it, and draws that component again when it changes.
 * @template T
 * @param {T} first
 */
export function watched(first) {
  let value = first;
  const watchers = new Set();

  function watch(watcher) {
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }

  return {
    get: () => value,
    set(next) {
      if (next === value) return;
      value = next;
      watchers.forEach((watcher) => watcher(next));
    },
    watch,
    use() {
      const [, draw] = useState(value);
      useEffect(() => {
        draw(value);
        return watch(draw);
      }, []);
      return value;
    },
  };
}
