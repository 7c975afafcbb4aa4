/** CPU time of processes, as Linux tells it. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Linux tells it in hundredths of a second to every program, whatever its own clock. */
const TICKS_PER_SECOND = 100;
const QUIET_TICKS = 2;
const QUIET_MS = 1_000;

/** User and system seconds of a process, all its threads, those that have ended too. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The bytes of memory that a process had at most. */
export function peakBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

/** Waits until a process does next to nothing, but no longer than `limitMs`. */
export async function untilQuiet(pid: number, limitMs: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + limitMs;
  let before = cpuSeconds(pid);
  while (performance.now() < end) {
    await sleep(QUIET_MS, undefined, { signal });
    const now = cpuSeconds(pid);
    if ((now - before) * TICKS_PER_SECOND <= QUIET_TICKS) return;
    before = now;
  }
}
