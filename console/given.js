// What is asked for and sent: a value that is empty means "any", and is left out. The API refuses an empty value.

/**
 * The members that have a value. "", null and undefined have none; 0 and false have one.
 * @template T
 * @param {Record<string, T>} values
 * @returns {Record<string, T>}
 */
export function given(values) {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined),
  );
}
