/**
 * A model's code in service: the control plane asks over the real protocol, the model explores and
 * hands in a file, every gate looks at it, and the aggregator that is fed swaps it in.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { workloadA } from '../../bench/workloads/workloads.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { express } from '../../evolver/builtin/phenotype.ts';
import { MODEL, QUICK_RETRY } from '../../evolver/llm/test/rig.ts';
import { cell, messagesServer, type Script, say } from '../../evolver/llm/test/server.ts';
import { UNKNOWN_TRAFFIC } from '../../evolver/profile.ts';
import { leaks } from './canaries.ts';
import {
  administrator,
  type Flow,
  QUICK_EVOLUTION,
  type Rig,
  ratchet,
  startFlow,
  startRig,
  until,
} from './support.ts';

const org = 'acme';
const workload = workloadA(5);
/** What suits these rules: from a tag's value straight to the rule that asks for it. */
const DESIGN = {
  dispatch: 'one',
  windows: 'single',
  literals: 'table',
  compare: 'words',
  emit: 'reserve',
  unroll: '8',
};
let rig: Rig | undefined;
let flow: Flow | undefined;

after(async () => {
  await flow?.close();
  await rig?.dispose();
});

/** Looks around, asks a smaller model, and hands in what it is known for. */
function explorer(source: string): Script {
  return ({ tools, messages }) => {
    if (tools === undefined) return say('every rule is tried on every tag-set');
    const turn = messages.filter(({ role }) => role === 'assistant').length;
    if (turn === 0) return cell('[repo.read("aggregate.rs").length, profile.traffic().points]');
    if (turn === 1) return cell('notes.set(llm("what is dear here?"))');
    return cell(`submit(${JSON.stringify({ summary: 'a rule by its tag', content: source })})`);
  };
}

interface Shown {
  candidates: {
    id: string;
    mutator: string;
    model: string | null;
    arm: string | null;
    transcript: string | null;
    cost: { usd: number };
    verdicts: { gate: string; verdict: string }[];
  }[];
}

test('what a model wrote is promoted under traffic', { timeout: 600_000 }, async () => {
  const { rules } = compileConfiguration(org, workload.rules);
  const source = express(DESIGN, rules, UNKNOWN_TRAFFIC);
  const server = await messagesServer({ after }, explorer(source));
  rig = await startRig(['temporal', 'nats', 'aggregator', 'control'], {
    RATCHET_EVOLUTION: JSON.stringify({ ...QUICK_EVOLUTION, candidates: 2, mutator: 'llm' }),
    RATCHET_LLM: JSON.stringify({
      ...{ base_url: server.url, retry: QUICK_RETRY, models: [{ id: MODEL }] },
      arms: { single: 0, rlm: 1 },
    }),
    ANTHROPIC_API_KEY: server.key,
  });
  const { stack } = rig;
  const api = await administrator(stack, [org]);
  const { effectiveFromMs } = await api.configure(org, workload.rules);
  flow = await startFlow(stack, org, workload, 40, effectiveFromMs);
  await until('a version is active, or the search has ended', 400_000, async () => {
    const progress = await api.progress(org);
    return progress.activeVersion !== null || progress.stage === 'settled';
  });
  const { outcomes, gain } = await api.progress(org);
  const promoted = outcomes.findIndex(({ outcome }) => outcome === 'promoted');
  assert.equal(outcomes[promoted]?.mutator, 'llm', JSON.stringify(outcomes));
  assert.ok((gain?.llm ?? 0) > 1, JSON.stringify(gain));
  // The first generation measures the first form.
  assert.ok(promoted > 0);
  const args = ['generations', 'show', org, String(promoted + 1), '--json'];
  const told = await ratchet(stack, args);
  const { candidates } = JSON.parse(told) as Shown;
  const written = candidates.find(({ mutator }) => mutator === 'llm');
  assert.ok(written !== undefined, told);
  assert.deepEqual([written.model, written.arm], [MODEL, `rlm/${MODEL}`], told);
  const signed = written.verdicts.find(({ gate }) => gate === 'signature');
  assert.equal(signed?.verdict, 'pass', told);
  assert.ok(written.cost.usd > 0 && written.transcript !== null);
  // A fast machine is here before the first whole window has begun.
  const { ledger } = flow;
  await until('a window is booked', 60_000, async () => ledger.balance().expected > 0);
  const { lost, surplus, expected } = await flow.settle();
  assert.deepEqual({ lost, surplus }, { lost: 0, surplus: 0 });
  assert.ok(expected > 0, 'windows were booked');
  const key = { what: 'the API key', bytes: Buffer.from(server.key) };
  assert.deepEqual(await leaks(stack, [key]), []);
});
