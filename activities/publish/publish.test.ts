/**
 * Sampling, shadow, signing and publishing against a real NATS server, with the rights of the
 * control plane.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { jetstream } from '@nats-io/jetstream';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { connectNats } from '../../control/nats.ts';
import { encodeMessage } from '../../control/payload/payload.ts';
import { connectNats as connectAs, freePorts, startStack } from '../../control/stack/index.ts';
import { ContentStore, sha256 } from '../../control/store/index.ts';
import { ActiveTable, ConfigurationTable, ObjectTable } from '../../control/tables.ts';
import type { ConfigurationRef, Ref } from '../../workflows/messages.ts';
import { translateFault } from '../faults.ts';
import { decodeCorpus } from '../sample/corpus.ts';
import { sampleActivities } from '../sample/index.ts';
import { shadowActivities } from '../shadow/index.ts';
import { payloadOf, signer, verifies } from '../sign/dsse.ts';
import { signActivities } from '../sign/index.ts';
import { StageRecords } from '../stages.ts';
import type { ConfirmVerdict, ManifestSubject, ShadowVerdict, SignInput } from '../types.ts';
import { publishActivities } from './index.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-publish-'));
const stack = await startStack({ stateDir: directory, services: ['nats'], ports: freePorts });
const url = stack.addresses.nats;
const passwordFile = stack.secrets.passwordFile('control');
const nats = await connectNats({ url, user: 'control', passwordFile, caFile: null }, 'test');
const aggregator = await connectAs(url, 'aggregator', stack.secrets.password('aggregator'));
after(async () => {
  await nats.close();
  await aggregator.close();
  await stack.stop();
  await rm(directory, { recursive: true });
});

const settings = {
  state: directory,
  kit: null,
  aggregator: 'aggregator',
  builderKeyFile: join(directory, 'keys', 'builder.key'),
  trustFile: join(directory, 'trust.json'),
  cache: directory,
  proofPolicy: 'attested' as const,
  wasi: 'none' as const,
  attestations: join(directory, 'attestations'),
};
const store = new ContentStore(join(directory, 'store'));
const stages = new StageRecords(join(directory, 'stages'));
const active = await ActiveTable.open(nats);
const modules = await ObjectTable.open(nats, 'modules');
const configurations = await ConfigurationTable.open(nats);
const evolving = async () => 0;
const tables = { active, configurations, modules };
const deps = { nats, settings, store, stages, ...tables, evolving, now: Date.now };
const { sample, captureStatus } = sampleActivities(deps);
const { shadow } = shadowActivities(deps);
const { sign } = signActivities(deps);
const { readActive, publish, confirm } = publishActivities(deps);

const validator = signer(await readFile(join(directory, 'keys', 'validator.key'), 'utf8'));
const codec = sha256('codec');
/** Stands for the service of the aggregators, under their rights: tests say what it answers. */
let accepted = 0;
const evaluations: unknown[] = [];
let onEvaluate: () => object = () => ({ verdict: 'pass' });
let onCountersign: (statement: Uint8Array) => object = (statement) => validator.sign(statement);
const answers: Record<string, (request: Record<string, string>) => object> = {
  'shadow.status': () => ({ held_back: 70, training: 3, accepted_version: accepted }),
  'shadow.evaluate': (request) => {
    evaluations.push(request);
    return onEvaluate();
  },
  'shadow.countersign': ({ statement = '' }) => onCountersign(Buffer.from(statement, 'base64')),
};
aggregator.subscribe('shadow.>', {
  callback: (_, message) => {
    const answer = answers[message.subject]?.(JSON.parse(message.string()));
    message.respond(JSON.stringify(answer));
  },
});
await aggregator.flush();

const compiled = compileConfiguration('acme', [
  { id: 'r', metric: 'm', filter: '*', group_by: ['host'], aggregate: 'sum', window: '10s' },
]);
const configuration: ConfigurationRef = {
  digest: compiled.digest,
  blob: await store.put(compiled.blob, 'application/octet-stream'),
  rules: 1,
  effective_from_ms: 0,
};
const key = { org: 'acme', generation: 1, rerun: 0 };

test('training messages become a split corpus and a profile', async () => {
  const few = { ...key, generation: 9, configuration, messages_min: 8 };
  assert.deepEqual(await sample(few), { verdict: 'insufficient', messages: 0 });
  const producer = jetstream(aggregator);
  const now = Date.now();
  const sets = ['a', 'b'].map((host) => ({ metric: 'm', tags: [['host', host] as const] }));
  for (let i = 0; i < 40; i++) {
    const points = [0, 1].map((set) => ({ set, ts: now + i, value: i }));
    const subject = `training.acme.${compiled.digest.slice(0, 16)}`;
    await producer.publish(subject, encodeMessage(sets, points));
  }
  const status = await captureStatus({ org: 'acme', configuration: compiled.digest });
  assert.deepEqual(status, { training: 40, held_back: 70 });
  const sampled = await sample({ ...key, configuration, messages_min: 8 });
  assert.equal(sampled.verdict, 'sampled');
  if (sampled.verdict !== 'sampled') return;
  const [fit, check] = [sampled.corpus.fit, sampled.corpus.check];
  const counts = await Promise.all(
    [fit, check].map(async (ref) => decodeCorpus(await store.get(ref)).length),
  );
  assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), 40);
  assert.ok((counts[1] ?? 0) >= 8, `${counts}`);
  const profile = JSON.parse(await store.getText(sampled.profile));
  assert.deepEqual(profile.keys, [{ key: 'host', presence: 1, cardinality: 2 }]);
  assert.deepEqual([profile.messages, profile.points.median], [40, 2]);
  assert.deepEqual(await sample({ ...key, configuration, messages_min: 8 }), sampled);
});

function asked(candidate: string, component: Ref): Promise<ShadowVerdict> {
  const input = { ...key, configuration: compiled.digest, candidate, component };
  return new MockActivityEnvironment().run(shadow, input);
}

test('a busy shadow service is asked again, one that answered is not', async () => {
  const component = await store.put('component', 'application/wasm');
  let turns = 0;
  onEvaluate = () => {
    turns += 1;
    return turns === 1 ? { error: 'busy', detail: 'one at a time' } : { verdict: 'pass' };
  };
  assert.deepEqual(await asked('acme/gen/1/c0', component), { verdict: 'pass' });
  assert.equal(turns, 2);
  assert.deepEqual(evaluations.at(-1), {
    ...{ org: 'acme', configuration: compiled.digest, module: component.digest },
    ...{ size: component.size, generation: 'acme/gen/1', candidate: 'acme/gen/1/c0' },
  });
  assert.notEqual(await modules.get(component.digest), null);
  assert.deepEqual(await asked('acme/gen/1/c0', component), { verdict: 'pass' });
  assert.equal(turns, 2);
  onEvaluate = () => ({ error: 'too-many-questions', detail: '3 asked' });
  const refused = { verdict: 'refused', reason: 'too-many-questions', detail: '3 asked' };
  assert.deepEqual(await asked('acme/gen/1/c1', component), refused);
  onEvaluate = () => ({ verdict: 'maybe' });
  await assert.rejects(asked('acme/gen/1/c2', component), /an answer of another form/);
});

function signInput(version: number, subject: ManifestSubject, previous: string | null): SignInput {
  return {
    org: 'acme',
    configuration: compiled.digest,
    version,
    previous,
    issued_at_ms: 1_790_000_000_000,
    expires_at_ms: 1_790_000_600_000,
    subject,
    workflow: { id: 'acme/gen/1', run_id: 'run' },
  };
}

const proof = {
  verdict: 'attested' as const,
  codec,
  attestation: sha256('attestation'),
  date: '2026-07-18T12:00:00.000Z',
};

/** What a build would have recorded of the component. */
async function linked(component: Ref): Promise<Ref> {
  const name = 'rlib/libratchet_codec.rlib';
  const record = {
    ...{ schema: 1, kit: sha256('kit'), kit_json: sha256('kit.json'), rustc: 'rustc 1.95.0' },
    ...{ component: component.digest, codec: name, libraries: { [name]: sha256('library') } },
  };
  return await store.put(JSON.stringify(record), 'application/json');
}

async function promotion(): Promise<ManifestSubject> {
  const module = await store.put('component', 'application/wasm');
  return {
    of: 'candidate',
    kind: 'promote',
    module,
    origin: {
      commit: 'c0ffee',
      mutator: 'llm',
      operator: 'dense',
      prompt: sha256('prompt'),
      model: 'a-model',
      linked: await linked(module),
      proof,
      benchmark: { evidence: sha256('e'), ratio: 2, ci95: [1.9, 2.1] },
    },
  };
}

async function signed(input: SignInput) {
  const verdict = await sign(input);
  assert.equal(verdict.verdict, 'signed', JSON.stringify(verdict));
  if (verdict.verdict !== 'signed') throw new Error('unreachable');
  return verdict;
}

test('sign, publish, publish again, lose a race, renew, retire', async () => {
  const first = await readActive({ org: 'acme', configuration: compiled.digest });
  assert.deepEqual(first, { active: null, revision: 0, next_version: 1 });
  const one = await signed(signInput(1, await promotion(), null));
  assert.deepEqual(await signed(signInput(1, await promotion(), null)), one);
  const payload = payloadOf(await store.get(one.envelope));
  const { predicate } = JSON.parse(Buffer.from(payload).toString('utf8'));
  const { toolchain, mutation, proof: told } = predicate;
  assert.deepEqual(mutation, {
    ...{ mutator: 'llm', operator: 'dense', prompt: sha256('prompt'), model: 'a-model' },
  });
  assert.deepEqual(toolchain, { rustc: 'rustc 1.95.0', kit: sha256('kit'), codec });
  assert.deepEqual(told, proof);
  const { keys } = JSON.parse(await readFile(settings.trustFile, 'utf8'));
  const { signatures } = JSON.parse(await store.getText(one.envelope));
  for (const [place, signature] of signatures.entries()) {
    const trusted = keys.find((each: { keyid: string }) => each.keyid === signature.keyid);
    assert.equal(trusted.role, ['builder', 'validator'][place]);
    assert.ok(verifies(trusted.public, payload, signature.sig));
  }
  const request = { org: 'acme', envelope: one.envelope, active: one.active, revision: 0 };
  const published = await publish(request);
  assert.equal(published.verdict, 'published');
  assert.deepEqual(await publish(request), published);
  accepted = 4;
  const reading = await readActive({ org: 'acme', configuration: compiled.digest });
  assert.deepEqual([reading.active, reading.next_version], [one.active, 5]);
  const earlier = { of: 'earlier', kind: 'promote', statement: one.active.statement } as const;
  const renewal = await signed(signInput(5, earlier, one.active.statement));
  assert.equal(renewal.active.module, one.active.module);
  const next = { org: 'acme', envelope: renewal.envelope, active: renewal.active };
  assert.equal((await publish({ ...next, revision: 0 })).verdict, 'conflict');
  const { revision } = reading;
  assert.equal((await publish({ ...next, revision })).verdict, 'published');
  const none = { of: 'nothing', kind: 'tombstone' } as const;
  const tombstone = await signed(signInput(6, none, renewal.active.statement));
  assert.deepEqual([tombstone.active.module, tombstone.active.kind], [null, 'tombstone']);
});

test('a statement is made of the build of its own module alone', async () => {
  const subject = await promotion();
  if (subject.of !== 'candidate') throw new Error('unreachable');
  const module = await store.put('another component', 'application/wasm');
  await assert.rejects(sign(signInput(7, { ...subject, module }, null)), /is no record of/);
});

test('a refusal of the validator is an answer, a key that is not trusted a fault', async () => {
  onCountersign = () => ({ error: 'never-passed', detail: 'module unknown' });
  const refused = { verdict: 'refused', reason: 'never-passed', detail: 'module unknown' };
  assert.deepEqual(await sign(signInput(7, await promotion(), null)), refused);
  const stranger = signer(Buffer.alloc(32, 9).toString('base64'));
  onCountersign = (statement) => stranger.sign(statement);
  await assert.rejects(sign(signInput(7, await promotion(), null)), (error: unknown) => {
    assert.ok(error instanceof ApplicationFailure);
    assert.deepEqual([error.type, error.nonRetryable], ['KeyRefused', true]);
    return true;
  });
  onCountersign = () => validator.sign(Buffer.from('another statement'));
  await assert.rejects(sign(signInput(7, await promotion(), null)), /does not hold/);
});

function confirmed(version: number, seconds = 5): Promise<ConfirmVerdict> {
  const since_ms = Date.now() - 60_000;
  const about = { org: 'acme', configuration: compiled.digest, kind: 'promote' as const };
  const input = { ...about, version, since_ms, seconds };
  return new MockActivityEnvironment().run(confirm, input);
}

test('a swap is confirmed by event or accepted version; refusal and silence are told', async () => {
  accepted = 20;
  assert.deepEqual(await confirmed(20), { verdict: 'swapped' });
  const events = jetstream(aggregator);
  await events.publish('evt.acme.swapped', JSON.stringify({ version: 30 }));
  assert.deepEqual(await confirmed(30), { verdict: 'swapped' });
  const refusal = { version: 31, reason: 'compile', detail: 'bad bytes' };
  await events.publish('evt.acme.refused', JSON.stringify(refusal));
  assert.deepEqual(await confirmed(31), { verdict: 'refused', reason: 'compile: bad bytes' });
  assert.deepEqual(await confirmed(32, 1), { verdict: 'timeout' });
});

test('faults have the types that retry policies name', () => {
  const lost = { nonRetryable: true, type: 'MissingObject' };
  const error = translateFault(Object.assign(new Error('x'), { name: 'other' }));
  assert.equal(error instanceof ApplicationFailure, false);
  return assert.rejects(store.get(sha256('nowhere')), (missing: unknown) => {
    const fault = translateFault(missing);
    assert.ok(fault instanceof ApplicationFailure);
    assert.deepEqual({ nonRetryable: fault.nonRetryable, type: fault.type }, lost);
    return true;
  });
});
