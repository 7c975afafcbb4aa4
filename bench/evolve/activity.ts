/** Runs code of activities outside of a worker: heartbeats go nowhere, an interruption cancels. */
import { MockActivityEnvironment } from '@temporalio/testing';

export async function asActivity<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const environment = new MockActivityEnvironment();
  const cancel = () => environment.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await environment.run(run);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
