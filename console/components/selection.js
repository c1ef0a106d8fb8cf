// Which rows of a list are ticked. Another list begins with none.
import { useState } from "../vendor/htm-preact.js";

/** @returns {{ids: Set<string>, toggle: (id: string, on: boolean) => void, all: (on: boolean) => void, only: (ids: string[]) => void, whole: boolean}} */
export function useSelection(rows, list) {
  const [ticked, setTicked] = useState({ list, ids: new Set() });
  const ids = ticked.list === list ? ticked.ids : new Set();
  const setIds = (next) => setTicked({ list, ids: next });
  const there = rows.filter((row) => !row.gone).map((row) => row.task_id);
  const toggle = (id, on) => {
    const next = new Set(ids);
    if (on) next.add(id);
    else next.delete(id);
    setIds(next);
  };
  return {
    ids,
    toggle,
    all: (on) => setIds(new Set(on ? there : [])),
    only: (chosen) => setIds(new Set(chosen)),
    whole: there.length > 0 && there.every((id) => ids.has(id)),
  };
}
