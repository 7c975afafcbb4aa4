/**
 * Workflow time: the sandbox replaces the clock by the time of the task, so that a replay sees the
 * same. The only place that reads it; state and manifests are handed their times.
 */
export function now(): number {
  return Date.now();
}
