import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cargoEnvironment, ensureAggregator } from './lib/cargo.mjs';
import { withLock } from './lib/lock.mjs';
import { runAsMain } from './lib/main.mjs';
import { ensureNpmDependencies } from './lib/npm.mjs';
import { cacheDirectory, root } from './lib/paths.mjs';
import { checkPrerequisites } from './lib/prerequisites.mjs';
import { duration, step } from './lib/steps.mjs';
import { ensureTool, natsServer, temporalCli, vmagent } from './lib/tools.mjs';

/**
 * Makes everything that the other commands need. A step already done costs nothing.
 * Resolves with the environment in which cargo, the tests and the stack find it.
 */
export async function bootstrap({ log = (line) => process.stderr.write(`${line}\n`) } = {}) {
  const begun = performance.now();
  const cacheDir = cacheDirectory();
  await step(log, 'prerequisites', checkPrerequisites);
  const lock = join(cacheDir, 'bootstrap.lock');
  const made = await withLock(lock, () => makeAll(log, cacheDir), { log });
  log(`bootstrap done (${duration(performance.now() - begun)})`);
  return {
    ...cargoEnvironment(made.kit),
    RATCHET_CACHE: cacheDir,
    RATCHET_AGGREGATOR: made.aggregator,
    RATCHET_NATS_SERVER: made.nats,
    RATCHET_TEMPORAL: made.temporal,
  };
}

/**
 * Makes the servers of others that some tests and benches need, and that nothing else does.
 * Resolves with the environment in which they are found as well. With `optional`, one that cannot
 * be had is no failure: `RATCHET_VMAGENT_MISSING` says why, and the tests that need it are skipped.
 */
export async function withPeers(
  env,
  { log = (line) => process.stderr.write(`${line}\n`), optional = false } = {},
) {
  const cacheDir = cacheDirectory();
  const lock = join(cacheDir, 'bootstrap.lock');
  const make = () => step(log, 'vmagent', (report) => ensureTool(vmagent, cacheDir, report));
  try {
    return { ...env, RATCHET_VMAGENT: await withLock(lock, make, { log }) };
  } catch (error) {
    // A path that somebody gave is meant.
    if (!optional || env.RATCHET_VMAGENT || process.env.RATCHET_VMAGENT) throw error;
    log(`tests with vmagent are skipped: ${error.message}`);
    return { ...env, RATCHET_VMAGENT_MISSING: error.message };
  }
}

async function makeAll(log, cacheDir) {
  await step(log, 'npm dependencies', (report) => ensureNpmDependencies(report, cacheDir));
  const made = {};
  const make = async (key, name, work) => {
    made[key] = await step(log, name, work);
    writeRecord(made);
  };
  await make('nats', 'nats-server', (report) => ensureTool(natsServer, cacheDir, report));
  await make('temporal', 'temporal', (report) => ensureTool(temporalCli, cacheDir, report));
  await make('kit', 'guest kit', (report) => ensureKit(cacheDir, report));
  await make('aggregator', 'aggregator', (report) =>
    ensureAggregator({ cacheDir, kit: made.kit, report }),
  );
  return made;
}

async function ensureKit(cacheDir, report) {
  const { ensureGuestKit } = await import('./guest.mjs');
  const result = await ensureGuestKit({ log: report, cacheDir });
  const value = typeof result === 'string' ? result : result.dir;
  if (typeof value !== 'string' || !existsSync(value)) {
    throw new Error(`the guest kit is not where it should be: ${value}`);
  }
  return { value, did: value };
}

/**
 * Read by control/stack/executables.ts, so that a single test can be run by hand. What an earlier
 * run made stays usable while this one works.
 */
function writeRecord(made) {
  const file = join(root, 'node_modules', '.ratchet-bootstrap.json');
  const draft = `${file}.${process.pid}.draft`;
  writeFileSync(draft, `${JSON.stringify({ ...readRecord(file), ...made }, null, 2)}\n`);
  renameSync(draft, file);
}

function readRecord(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

await runAsMain(import.meta.url, 'bootstrap', async (args) => {
  if (args.length > 0) {
    process.stdout.write('Usage: npm run bootstrap\nBuilds what the other commands need.\n');
    return args[0] === '--help' || args[0] === '-h' ? 0 : 2;
  }
  await bootstrap();
  return 0;
});
