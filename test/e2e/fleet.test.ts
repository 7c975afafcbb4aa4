/**
 * The fleet on the whole stack: one module evolves on the traffic of two organizations, serves the
 * one that has none of its own, and the other's is held against it.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Workload, workloadA } from '../../bench/workloads/workloads.ts';
import type { OrganizationView } from '../../control/cli/print.ts';
import { RETIREMENT_MARGIN } from '../../workflows/level.ts';
import { captured, leaks, secretsOf } from './canaries.ts';
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

const workloads: Record<string, Workload> = { acme: workloadA(5), globex: smallWorkload() };
const organizations = Object.keys(workloads);
/**
 * Tenants must be so much faster than what serves without them: easy against the baseline, hard
 * against a module of the fleet, which is so likely to overtake.
 */
const WORTH = 2.4;
const evolution = {
  ...QUICK_EVOLUTION,
  // Tenants evolve when they are asked to, so that the test decides who goes first.
  evolve_on_configure: false,
  promotion_ratio: WORTH,
  // A busy machine compiles for longer than a minute, behind everybody else.
  confirm_seconds: 300,
  fleet: {
    ...{ evolve_on_configure: true, promotion_ratio: 1.1 },
    ...{ capture_poll_ms: 500, capture_poll_ms_max: 2_000 },
  },
};
let rig: Rig;
const flows: Flow[] = [];

before(async () => {
  rig = await startRig(['temporal', 'nats', 'aggregator', 'control'], {
    RATCHET_EVOLUTION: JSON.stringify(evolution),
  });
});

after(async () => {
  for (const flow of flows) await flow.close();
  await rig.dispose();
});

test('a tenant’s module is promoted while the fleet waits', { timeout: 600_000 }, async () => {
  const api = await administrator(rig.stack, organizations);
  await until('the fleet runs', 60_000, async () => (await view('fleet')).status !== null);
  await ratchet(rig.stack, ['pause', 'fleet']);
  for (const [org, workload] of Object.entries(workloads)) {
    const { effectiveFromMs } = await api.configure(org, workload.rules);
    flows.push(await startFlow(rig.stack, org, workload, 30, effectiveFromMs));
  }
  await ratchet(rig.stack, ['evolve', 'acme', '--generations', '12', '--target-ratio', '1']);
  await until('acme has a module of its own', 540_000, async () => {
    return (await view('acme')).active?.kind === 'promote';
  });
});

test('the fleet’s module serves whoever has none, and tenants’ are held against it', {
  timeout: 1_500_000,
}, async () => {
  const before = await view('acme');
  await ratchet(rig.stack, ['resume', 'fleet']);
  await until('the fleet has a module', 600_000, async () => {
    return (await view('fleet')).active !== null;
  });
  const fleet = await view('fleet');
  assert.ok(fleet.serves?.includes('globex'), JSON.stringify(fleet.serves));
  assert.equal(fleet.active?.configuration, '0'.repeat(64));
  await until('globex is served by it', 300_000, async () => (await level('globex')) === 'fleet');
  await until('acme was held against it', 300_000, async () => {
    return (await view('acme')).status?.challenged !== undefined;
  });
  const { active, status } = await view('acme');
  const { verdict = '', ci95 = null } = status?.challenged ?? {};
  const overtaken = ci95 !== null && ci95[0] < WORTH - RETIREMENT_MARGIN;
  assert.equal(verdict, overtaken ? 'overtaken' : 'ahead', JSON.stringify(status?.challenged));
  process.stderr.write(`# acme against the fleet: ${JSON.stringify(status?.challenged)}\n`);
  assert.equal(active?.kind, overtaken ? 'tombstone' : 'promote');
  assert.equal(active?.version, (before.active?.version ?? 0) + (overtaken ? 1 : 0));
  await until('acme is served so', 300_000, async () => {
    return (await level('acme')) === (overtaken ? 'fleet' : 'tenant');
  });
  await ratchet(rig.stack, ['pause', 'fleet', '--cancel-running']);
  for (const flow of flows) {
    const { lost, surplus, expected } = await flow.settle();
    assert.deepEqual({ lost, surplus }, { lost: 0, surplus: 0 });
    assert.ok(expected > 0, 'windows were booked');
  }
});

test('no secret and no held-back value is written down anywhere', {
  timeout: 120_000,
}, async () => {
  const [{ held }, secrets] = [await captured(rig.stack), await secretsOf(rig.stack)];
  assert.ok(held.length >= 32, `${held.length} canaries of held-back traffic`);
  assert.ok(secrets.length >= 10, `${secrets.length} secrets`);
  assert.deepEqual(await leaks(rig.stack, [...held, ...secrets]), []);
});

async function view(org: string): Promise<OrganizationView> {
  return JSON.parse(await ratchet(rig.stack, ['status', org, '--json'])) as OrganizationView;
}

async function level(org: string): Promise<string | undefined> {
  const answer = await fetch(`${rig.stack.addresses.aggregator}/status`);
  const status = (await answer.json()) as { organizations: Record<string, { level: string }> };
  return status.organizations[org]?.level;
}
