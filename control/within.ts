/** A limit of time that holds whatever the work does with its signal. */

/**
 * What `work` answers, or an error after `limitMs`, or once `interrupt` is aborted. The signal asks
 * the work to end; the error does not wait for it: a body of `fetch` that is aborted while it
 * arrives may never settle (Node 20).
 */
export async function within<T>(
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  interrupt?: AbortSignal,
): Promise<T> {
  interrupt?.throwIfAborted();
  const over = new AbortController();
  const ended = new Promise<never>((_, reject) => {
    over.signal.addEventListener('abort', () => reject(over.signal.reason), { once: true });
  });
  const late = () => over.abort(new Error(`no answer within ${limitMs} ms`));
  const stop = () => over.abort(interrupt?.reason);
  const timer = setTimeout(late, limitMs);
  interrupt?.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work(over.signal), ended]);
  } finally {
    clearTimeout(timer);
    interrupt?.removeEventListener('abort', stop);
  }
}
