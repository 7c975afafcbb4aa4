/** Runs a named step and says what it did and how long that took. The step returns a sentence. */
export async function step(log, name, work) {
  const begun = performance.now();
  const report = (line) => log(`  ${name}: ${line}`);
  try {
    const { value, did } = await work(report);
    log(`✓ ${name}: ${did} (${duration(performance.now() - begun)})`);
    return value;
  } catch (error) {
    log(`✗ ${name} (${duration(performance.now() - begun)})`);
    throw error;
  }
}

export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 100_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** Says every half minute that a long step still runs. */
export function heartbeat(report, what, everyMs = 30_000) {
  const begun = performance.now();
  const timer = setInterval(() => {
    report(`${what}, ${duration(performance.now() - begun)} so far`);
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
