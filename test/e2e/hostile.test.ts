/**
 * Candidates that are wrong, rude or not what they say: each is stopped at the gate that should
 * stop it, and the archive tells so. Every part is real but the mutator, which is scripted.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { workloadA } from '../../bench/workloads/workloads.ts';
import { temporalGateway } from '../../control/api/temporal-gateway.ts';
import { loadSettings, type Settings } from '../../control/config.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { connectNats } from '../../control/nats.ts';
import { controlEnvironment } from '../../control/stack/control-plane.ts';
import { attestationsDirectory, findExecutables } from '../../control/stack/index.ts';
import { ContentStore } from '../../control/store/index.ts';
import { ConfigurationTable } from '../../control/tables.ts';
import { connectTemporal } from '../../control/temporal.ts';
import { type RunningWorkers, startWorkers } from '../../control/workers.ts';
import { Archive } from '../../evolver/archive.ts';
import { DEFAULT_SEARCH } from '../../evolver/search/settings.ts';
import {
  DEFAULT_BUDGET,
  DEFAULT_SETTINGS,
  type OrganizationStatus,
} from '../../workflows/messages.ts';
import { hostileMutator, hostiles } from './hostile.ts';
import { type Flow, type Rig, startFlow, startRig, until } from './support.ts';

const org = 'hostile';
let rig: Rig;
let flow: Flow | undefined;
let workers: RunningWorkers | undefined;

before(async () => {
  rig = await startRig(['temporal', 'nats', 'aggregator']);
});

after(async () => {
  await flow?.close();
  await workers?.shutdown();
  await rig.dispose();
});

test('every hostile candidate is stopped at its gate', { timeout: 400_000 }, async () => {
  const settings = settingsOf(rig);
  workers = await startWorkers(settings, { mutators: { builtin: hostileMutator() } });
  const client = await connectTemporal(settings.temporal);
  const nats = await connectNats(settings.nats, 'test');
  const gateway = temporalGateway({
    client,
    evolverHost: settings.host,
    settings: {
      ...{ ...DEFAULT_SETTINGS, benchmark_seconds: 2, training_min: 24 },
      // Nothing honest beside them: a better one would be promoted before they are asked about.
      candidates: hostiles.length,
      search: { ...DEFAULT_SEARCH, growth: 0 },
    },
    budget: { ...DEFAULT_BUDGET, generations: 2 },
  });
  const workload = workloadA(3);
  const configuration = compileConfiguration(org, workload.rules);
  const table = await ConfigurationTable.open(nats);
  const { stored } = await table.put(configuration, Date.now());
  const blob = await new ContentStore(settings.storeDirectory).put(
    configuration.blob,
    'application/vnd.ratchet.rules',
  );
  await gateway.configure(org, {
    request_id: randomUUID(),
    configuration: {
      digest: configuration.digest,
      blob,
      rules: configuration.rules.length,
      effective_from_ms: stored.effectiveFromMs,
    },
  });
  flow = await startFlow(rig.stack, org, workload, 40, stored.effectiveFromMs);
  let status: OrganizationStatus | null = null;
  await until('all generations have ended', 300_000, async () => {
    status = await gateway.status(org);
    return status?.stage === 'settled';
  });
  await client.connection.close();
  await nats.drain();
  checkArchive(settings);
  assert.deepEqual(
    (({ lost, surplus }) => ({ lost, surplus }))(await flow.settle()),
    { lost: 0, surplus: 0 },
    'whatever candidates do, no point is lost',
  );
});

function checkArchive(settings: Settings): void {
  const archive = Archive.open(settings.archiveFile);
  try {
    // Generation 1 is the first form alone.
    const rows = archive.candidates(`${org}/gen/2`);
    for (const hostile of hostiles) {
      const row = rows.find(({ operator }) => operator === `hostile:${hostile.name}`);
      assert.ok(row, `"${hostile.name}" is in the archive`);
      const told = row.verdicts.map(
        ({ gate, verdict, text }) => `${gate}: ${verdict} ${text ?? ''}`,
      );
      const stopped = row.verdicts.some(
        ({ gate, verdict, text }) =>
          hostile.gates.includes(gate) && hostile.verdict.test(`${verdict} ${text ?? ''}`),
      );
      assert.ok(stopped, `"${hostile.name}": ${told.join(' | ')}`);
      assert.ok(!row.verdicts.some(({ gate }) => gate === 'signature'), `${hostile.name} signed`);
    }
  } finally {
    archive.close();
  }
}

function settingsOf({ stack }: Rig): Settings {
  const environment = controlEnvironment({
    executables: findExecutables(),
    stateDir: stack.stateDir,
    keys: stack.secrets.keys,
    natsUrl: stack.addresses.nats,
    temporalAddress: stack.addresses.temporal,
    temporalNamespace: stack.temporalNamespace,
    port: 1,
    proofPolicy: 'attested',
    attestations: attestationsDirectory(),
  });
  return loadSettings({ ...environment, RATCHET_LOG_LEVEL: 'warn' });
}
