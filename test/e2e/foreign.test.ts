/**
 * Modules that tenants bring: submitted by the command line, through every gate, swapped in under
 * traffic without a lost or wrong point; and what must not get through.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { jetstreamManager } from '@nats-io/jetstream';
import { connectNats } from '../../control/stack/index.ts';
import { NoComponentizer, typescriptGuest } from '../../scripts/guest-typescript.mjs';
import type { GenerationSummary } from '../../workflows/messages.ts';
import { type Components, makeComponents } from './foreign/components.ts';
import {
  administrator,
  type Flow,
  QUICK_EVOLUTION,
  type Rig,
  ratchet,
  smallWorkload,
  startFlow,
  startRig,
  until,
} from './support.ts';

const org = 'acme';
/** Messages a second: what a module takes that is some hundred times as slow. */
const RATE = 16;
/** More than the shadow service asks for. */
const HELD_BACK = 80;
/** Compiling a language's runtime, and judging it, on a busy machine. */
const SLOW_MS = 1_500_000;

/** The component of the guest in TypeScript, or why there is none: its packages may be away. */
const guest = await typescriptGuest().then(
  (file) => ({ file, missing: false as const }),
  (error: Error) => {
    if (!(error instanceof NoComponentizer)) throw error;
    return { file: '', missing: `no componentizer: ${error.message.slice(0, 200)}` };
  },
);
let rig: Rig;
let flow: Flow;
let components: Components;

before(async () => {
  const evolution = { ...QUICK_EVOLUTION, evolve_on_configure: false };
  const environment = { RATCHET_EVOLUTION: JSON.stringify(evolution) };
  const services = ['temporal', 'nats', 'aggregator', 'control'] as const;
  rig = await startRig(services, environment, { wasi: 'empty' });
  components = await makeComponents(join(rig.stack.stateDir, 'components'));
  const api = await administrator(rig.stack, [org]);
  const workload = smallWorkload();
  const { effectiveFromMs } = await api.configure(org, workload.rules);
  flow = await startFlow(rig.stack, org, workload, RATE, effectiveFromMs);
});

after(async () => {
  await flow?.close();
  await rig.dispose();
});

test('what may not be imported is named', { timeout: 120_000 }, async () => {
  const { outcome, detail } = await submitted(components.importsSockets);
  assert.equal(outcome, 'no-candidate');
  assert.match(detail ?? '', /^module refused: import: .*wasi:sockets\/network@0\.2\.60/);
});

/** A component that the training traffic shows to be wrong. */
function stopped(name: keyof Components, expected: RegExp) {
  test(`wrong: ${name}`, { timeout: 300_000 }, async () => {
    await untilHeldBack();
    const { outcome, detail } = await submitted(components[name]);
    assert.equal(outcome, 'no-candidate', detail ?? '');
    assert.match(detail ?? '', expected);
    assert.equal((await view()).active, null);
  });
}

stopped('silent', /^benchmark diverged: /);
stopped('endless', /^benchmark trapped: .*fuel/);

test('what is right serves, whoever wrote it', { timeout: 300_000 }, async () => {
  await serves(components.right);
});

test('a guest in TypeScript serves', { timeout: SLOW_MS, skip: guest.missing }, async () => {
  await serves(guest.file);
});

test('no point was lost or wrong', { timeout: 240_000 }, async () => {
  const { lost, surplus, expected } = await flow.settle();
  assert.deepEqual({ lost, surplus }, { lost: 0, surplus: 0 });
  assert.ok(expected > 0, 'windows were booked');
  // They were not served by the baseline instead.
  const { status, active } = await view();
  assert.equal(status.last_error, null);
  assert.notEqual(active?.kind, 'tombstone');
});

async function serves(file: string): Promise<void> {
  await untilHeldBack();
  const before = (await view()).active?.version ?? 0;
  const summary = await submitted(file);
  assert.equal(summary.outcome, 'promoted', summary.detail ?? '');
  const { status, active } = await view();
  assert.equal(active?.version, before + 1);
  assert.deepEqual(active?.proof, { verdict: 'foreign' });
  assert.equal(status.paused_reason, 'an own module serves');
}

async function submitted(file: string): Promise<GenerationSummary> {
  const answer = await ratchet(rig.stack, ['modules', 'submit', org, file, '--json']);
  const { generation } = JSON.parse(answer) as { generation: number };
  let found: GenerationSummary | undefined;
  await until(`generation ${generation} has ended`, SLOW_MS, async () => {
    const { outcomes } = (await view()).status;
    found = outcomes.find((outcome) => outcome.generation === generation);
    return found !== undefined;
  });
  assert.ok(found);
  return found;
}

interface View {
  status: { outcomes: GenerationSummary[]; last_error: string | null; paused_reason: string };
  active: { version: number; kind: string; proof: object } | null;
}

async function view(): Promise<View> {
  return JSON.parse(await ratchet(rig.stack, ['status', org, '--json'])) as View;
}

async function untilHeldBack(): Promise<void> {
  const { addresses, secrets } = rig.stack;
  const nats = await connectNats(addresses.nats, 'operator', secrets.password('operator'));
  const manager = await jetstreamManager(nats);
  await until(`${HELD_BACK} messages are held back`, 180_000, async () => {
    const streams = ['TRAINING', 'VALIDATION'].map((name) => manager.streams.info(name));
    const counts = (await Promise.all(streams)).map(({ state }) => state.messages);
    return counts.every((count) => count >= HELD_BACK);
  });
  await nats.close();
}
