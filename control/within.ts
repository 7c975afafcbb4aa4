/** A limit of time that holds whatever the work does with its signal. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What `work` answers, or an error after `limitMs`. The signal asks the work to end; the error does
 * not wait for it: a body of `fetch` that is aborted while it arrives may never settle (Node 20).
 */
export async function within<T>(
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const done = new AbortController();
  const late = sleep(limitMs, null, { signal: done.signal }).then(() => {
    const error = new Error(`no answer within ${limitMs} ms`);
    over.abort(error);
    throw error;
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([work(over.signal), late]);
  } finally {
    done.abort();
  }
}
