/**
 * Adds golden histories of today's workflows beside the older ones, which must go on replaying:
 * `node --import tsx test/workflows/record-histories.ts 3` writes `generation-promoted.3.json` and
 * so on. Remove older ones only when a change of the workflows is meant to break them, and say so
 * in the commit: running workflows break with them.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities } from '../../activities/types.ts';
import type { fleet } from '../../workflows/fleet.ts';
import type { generation } from '../../workflows/generation.ts';
import { FLEET, NO_CONFIGURATION } from '../../workflows/level.ts';
import * as m from '../../workflows/messages.ts';
import type { organization } from '../../workflows/organization.ts';
import {
  configuration,
  EVOLVER_QUEUE,
  organizationInput,
  settings,
  startEnvironment,
  temporalBinary,
  withWorkers,
} from './environment.ts';
import { fakes, ref, slow, Table } from './fakes.ts';

const [edition = ''] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(edition)) throw new Error('name the edition: a number');
const folder = new URL('../histories/', import.meta.url).pathname;
const environment = await startEnvironment();
const { client } = environment.temporal;

/** Keys that tell of the machine and matter to no replay. */
const MACHINE = new Set(['identity', 'requestId', 'binaryChecksum', 'workerVersion', 'stackTrace']);

function scrub(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(scrub);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !MACHINE.has(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, scrub(inner)]));
}

async function save(name: string, workflowId: string, runId?: string): Promise<void> {
  const args = ['workflow', 'show', '--output', 'json', '--workflow-id', workflowId];
  const place = ['--address', environment.temporal.address, '--namespace', 'default'];
  const run = runId === undefined ? [] : ['--run-id', runId];
  const shown = execFileSync(temporalBinary(), [...args, ...place, ...run], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const text = JSON.stringify(scrub(JSON.parse(shown)));
  const file = join(folder, `${name}.${edition}.json`);
  await writeFile(file, `${text}\n`, { flag: 'wx' });
  process.stderr.write(`${name}: ${text.length} bytes\n`);
}

const one = settings({ candidates: 1 });

async function generationHistory(
  outcome: m.GenerationOutcome,
  overrides: Partial<Activities>,
  cancel = false,
): Promise<void> {
  const input: m.GenerationInput = {
    ...{ schema: m.WIRE_SCHEMA, org: 'golden', generation: 1, rerun: 0 },
    ...{ configuration: configuration(), incumbent: null, active_version: 0 },
    ...{ evolver_queue: EVOLVER_QUEUE, settings: one, inputs: null },
  };
  const workflowId = `golden-${outcome}`;
  await withWorkers(environment, fakes(overrides, new Table()).activities, async () => {
    const handle = await client.workflow.start<typeof generation>(m.WORKFLOW.generation, {
      workflowId,
      taskQueue: m.CONTROL_QUEUE,
      args: [input],
    });
    if (cancel) await handle.cancel();
    const result = await handle.result();
    if (result.outcome !== outcome) throw new Error(`${outcome}: ended ${result.outcome}`);
  });
  await save(`generation-${outcome}`, workflowId);
}

/** A component that a tenant brings, and what becomes of it. */
async function submissionHistory(outcome: m.GenerationOutcome, overrides: Partial<Activities>) {
  const input: m.GenerationInput = {
    ...{ schema: m.WIRE_SCHEMA, org: 'golden', generation: 2, rerun: 0 },
    ...{ configuration: configuration(), incumbent: null, active_version: 0 },
    ...{ evolver_queue: EVOLVER_QUEUE, settings: one, inputs: null },
    submitted: { component: ref('component'), name: 'guest.wasm' },
  };
  const workflowId = `brought-${outcome}`;
  await withWorkers(environment, fakes(overrides, new Table()).activities, async () => {
    const handle = await client.workflow.start<typeof generation>(m.WORKFLOW.submission, {
      workflowId,
      taskQueue: m.CONTROL_QUEUE,
      args: [input],
    });
    const result = await handle.result();
    if (result.outcome !== outcome) throw new Error(`${outcome}: ended ${result.outcome}`);
  });
  await save(`submission-${outcome}`, workflowId);
}

function lostRace(): Partial<Activities> {
  return { publish: async () => ({ verdict: 'conflict', reason: 'revision' }) };
}

const generations: [m.GenerationOutcome, Partial<Activities>][] = [
  ['promoted', {}],
  [
    'no-candidate',
    { build: async () => ({ verdict: 'timeout', reason: 'too long', seconds: 90 }) },
  ],
  [
    'no-improvement',
    {
      benchmark: async ({ candidates }) => ({
        evidence: ref('e'),
        seconds: 1,
        candidates: candidates.map(({ id }) => slow(id)),
      }),
    },
  ],
  ['shadow-failed', { shadow: async () => ({ verdict: 'fail' }) }],
  ['insufficient', { shadow: async () => ({ verdict: 'insufficient' }) }],
  ['conflict', lostRace()],
  ['refused', { confirm: async () => ({ verdict: 'refused', reason: 'compile' }) }],
  [
    'failed',
    {
      specialize: async () => {
        throw ApplicationFailure.nonRetryable('a rule', 'InvalidProfile');
      },
    },
  ],
];

const submissions: typeof generations = [
  ['promoted', {}],
  ['shadow-failed', { shadow: async () => ({ verdict: 'fail' }) }],
  ['refused', { confirm: async () => ({ verdict: 'refused', reason: 'compile' }) }],
];

async function until(
  handle: WorkflowHandle<typeof organization>,
  met: (s: m.OrganizationStatus) => boolean,
) {
  for (let turn = 0; turn < 400; turn++) {
    if (met(await handle.query(m.statusQuery))) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error('never came about');
}

/**
 * Every message once: configure, evolve, budget, pause, resume, re-run, roll back, demote; then a
 * second run.
 */
async function organizationHistories(): Promise<void> {
  const input = organizationInput('golden', {
    settings: settings({ candidates: 1, generations_per_run: 3 }),
    budget: { ...m.DEFAULT_BUDGET, generations: 1 },
  });
  const workflowId = m.organizationId('golden');
  const fake = fakes();
  await withWorkers(environment, fake.activities, async () => {
    await client.workflow.start<typeof organization>(m.WORKFLOW.organization, {
      workflowId,
      taskQueue: m.CONTROL_QUEUE,
      args: [input],
    });
    const handle = client.workflow.getHandle<typeof organization>(workflowId);
    const { runId } = await handle.describe();
    await exercise(handle, fake.table);
    await save('organization-continued', workflowId, runId);
    await handle.terminate('recorded');
    await save('organization-second-run', workflowId);
  });
}

async function exercise(handle: WorkflowHandle<typeof organization>, table: Table): Promise<void> {
  const settled = (generations: number) => (it: m.OrganizationStatus) =>
    it.stage === 'settled' && it.outcomes.length === generations;
  await handle.executeUpdate(m.configureUpdate, { args: [{ configuration: configuration() }] });
  await until(handle, settled(1));
  await handle.executeUpdate(m.evolveUpdate, { args: [{ request_id: 'evolve' }] });
  await until(handle, settled(2));
  await handle.executeUpdate(m.rollbackUpdate, { args: [{ reason: 'test' }] });
  await handle.executeUpdate(m.resumeUpdate, { args: [{}] });
  await handle.executeUpdate(m.setBudgetUpdate, { args: [{ budget: { stagnation: 2 } }] });
  await handle.executeUpdate(m.rerunGenerationUpdate, { args: [{ generation: 1 }] });
  await until(handle, settled(3));
  const module = table.active?.module ?? '';
  const wrong = { configuration: configuration().digest, module, reason: 'differs' };
  await handle.signal(m.moduleDemotedSignal, wrong);
  await until(handle, settled(4));
  await handle.executeUpdate(m.pauseUpdate, { args: [{ reason: 'done' }] });
}

/** The fleet: it waits, evolves, is rolled back, loses a module in production, and goes on. */
async function fleetHistory(): Promise<void> {
  const looks = [2, 0];
  const fake = fakes({
    captureStatus: async () => ({ training: 64, held_back: 64, evolving: looks.shift() ?? 0 }),
  });
  const limits = { settings: settings({ candidates: 1 }) };
  const workflowId = m.organizationId(FLEET);
  await withWorkers(environment, fake.activities, async () => {
    await client.workflow.start<typeof fleet>(m.WORKFLOW.fleet, {
      workflowId,
      taskQueue: m.CONTROL_QUEUE,
      args: [organizationInput(FLEET, limits)],
    });
    const handle = client.workflow.getHandle<typeof organization>(workflowId);
    const settled = (generations: number) => (it: m.OrganizationStatus) =>
      it.stage === 'settled' && it.outcomes.length === generations;
    await until(handle, settled(1));
    await handle.executeUpdate(m.evolveUpdate, { args: [{}] });
    await until(handle, settled(2));
    await handle.executeUpdate(m.rollbackUpdate, { args: [{}] });
    await handle.executeUpdate(m.resumeUpdate, { args: [{}] });
    const module = fake.table.active?.module ?? '';
    const wrong = { configuration: NO_CONFIGURATION.digest, module, reason: 'differs' };
    await handle.signal(m.moduleDemotedSignal, wrong);
    await until(handle, settled(3));
    await handle.terminate('recorded');
  });
  await save('fleet', workflowId);
  await save('fleet-generation', m.generationId(FLEET, 1));
}

/** A tenant’s module that the fleet’s overtakes. */
async function overtakenHistory(): Promise<void> {
  const challenge: Activities['challenge'] = async () => ({
    ...{ verdict: 'overtaken', ratio: 1.01, ci95: [0.99, 1.03], fleet: 2 },
  });
  const input = organizationInput('overtaken', { settings: settings({ candidates: 1 }) });
  const workflowId = m.organizationId('overtaken');
  await withWorkers(environment, fakes({ challenge }).activities, async () => {
    await client.workflow.start<typeof organization>(m.WORKFLOW.organization, {
      workflowId,
      taskQueue: m.CONTROL_QUEUE,
      args: [input],
    });
    const handle = client.workflow.getHandle<typeof organization>(workflowId);
    await handle.executeUpdate(m.configureUpdate, { args: [{ configuration: configuration() }] });
    await until(handle, (it) => it.stage === 'settled');
    await handle.signal(m.fleetChangedSignal, { version: 2 });
    await until(handle, (it) => it.stage === 'settled' && it.outcomes.length === 2);
    await handle.terminate('recorded');
  });
  await save('organization-overtaken', workflowId);
}

await mkdir(folder, { recursive: true });
try {
  for (const [outcome, overrides] of generations) await generationHistory(outcome, overrides);
  await generationHistory('cancelled', {}, true);
  for (const [outcome, overrides] of submissions) await submissionHistory(outcome, overrides);
  await organizationHistories();
  await fleetHistory();
  await overtakenHistory();
} finally {
  await environment.temporal.teardown();
}
