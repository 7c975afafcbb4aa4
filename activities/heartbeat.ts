/**
 * The activity's context as stages use it: a heartbeat while something runs, and the signal to give
 * up.
 */
import { Context } from '@temporalio/activity';

const INTERVAL_MS = 2_000;

/**
 * Runs something long: heartbeats go on meanwhile, and `signal` fires when the activity is
 * cancelled.
 */
export async function beating<T>(
  details: unknown,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const context = Context.current();
  context.heartbeat(details);
  const timer = setInterval(() => context.heartbeat(details), INTERVAL_MS);
  try {
    return await run(context.cancellationSignal);
  } catch (error) {
    // A killed child is the consequence; the cancellation is the cause.
    if (context.cancellationSignal.aborted) await context.cancelled;
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Waits, or throws at once when the activity is cancelled. */
export async function pause(milliseconds: number): Promise<void> {
  await Context.current().sleep(milliseconds);
}
