/** Differences and exports of generations, from a real archive and a real store. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { Archive, type CandidateInput } from '../../evolver/archive.ts';
import { seedRandom } from '../../evolver/random.ts';
import { createApi } from './app.ts';
import { makeFakes } from './fakes.ts';
import { ArchiveRecords } from './records.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-study-'));
const file = join(directory, 'archive.sqlite');
const records = new ArchiveRecords(file);
after(async () => {
  records.close();
  await rm(directory, { recursive: true });
});
const { services } = makeFakes(join(directory, 'store'), records);
const app = createApi({
  ...{ services, version: '0.1.0', timeoutMs: 5_000 },
  logger: { info: () => undefined, error: () => undefined },
});

async function put(content: string): Promise<string> {
  return (await services.store.put(content, 'text/plain')).digest;
}

const gone = 'f'.repeat(64);
await fill();

async function fill(): Promise<void> {
  const archive = Archive.open(file);
  const parts = { fit: await put('fit'), check: await put('check'), profile: await put('{}') };
  const ref = (digest: string) => ({ digest, size: 1, mediaType: 'x' });
  const specialization = { spec: ref(await put('// spec')), seed: ref(await put('a\nb\nc\n')) };
  const configuration = await put('rules');
  const inputs = await put(
    JSON.stringify({
      ...{ configuration, profile: ref(parts.profile), specialization },
      corpus: { fit: ref(parts.fit), check: ref(parts.check) },
    }),
  );
  for (const number of [1, 2]) {
    const generation = `acme/gen/${number}`;
    const plan = await put(`plan ${number}`);
    const began = { configuration, parent: null, random: seedRandom('x'), plan };
    archive.startGeneration({ id: generation, ...began, startedAtMs: 1_700_000_000_000 });
    archive.recordInputs(generation, inputs);
  }
  const add = async (id: string, source: string, changes: Partial<CandidateInput> = {}) =>
    archive.recordCandidate({
      ...{ id, parent: null, mutator: 'builtin', operator: 'op', createdAtMs: 1 },
      ...{ source: await put(source), ...changes },
    });
  await add('acme/gen/1/c0', 'a\nb\nc\n', { mutator: 'specialise' });
  await add('acme/gen/1/c1', 'a\nX\nc\n');
  await add('acme/gen/2/c0', 'a\n\tY\nc\n', {
    parent: 'acme/gen/1/c1',
    inspirations: [{ role: 'top', id: 'acme/gen/1/c0' }],
    prompt: await put('the prompt'),
  });
  archive.recordResult('acme/gen/1/c1', { ratioToBaseline: 2, module: await put('wasm') });
  archive.recordResult('acme/gen/2/c0', { ratioToBaseline: 3, module: gone });
  const evidence = await put('log');
  const refused = { passed: false, verdict: 'no', evidence, atMs: 1 };
  archive.recordVerdict('acme/gen/2/c0', { ...refused, gate: 'build' });
  const attempt = { generation: 'acme/gen/2', mutator: 'builtin', stage: 'mutate', atMs: 1 };
  const transcript = await put('a conversation');
  archive.recordAttempt({
    ...{ id: 'acme/gen/2/c1/a1', ...attempt, outcome: 'duplicate', transcript },
    source: await put('broken'),
  });
  archive.close();
}

async function get(path: string, token = 'all-admin') {
  const headers = { authorization: `Bearer ${token}` };
  const response = await app.request(`/v1/organizations/acme/generations/${path}`, { headers });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, bytes, text: bytes.toString('utf8') };
}

const differences: [path: string, expected: RegExp][] = [
  ['2/diff', /--- acme\/gen\/1\/c1\n?.*\n\+\+\+ acme\/gen\/2\/c0[\s\S]*\n-X\n\+\tY\n/],
  ['1/diff', /--- first form[\s\S]*\+\+\+ acme\/gen\/1\/c1[\s\S]*\n-b\n\+X\n/],
  ['1/diff?slot=0', /^$/],
  ['2/diff?against=1', /--- acme\/gen\/1\/c1/],
  ['2/diff?against=1&against_slot=0', /--- acme\/gen\/1\/c0[\s\S]*\n-b\n\+\tY/],
];
for (const [path, expected] of differences) {
  test(`difference: ${path}`, async () => {
    const { status, text } = await get(path);
    assert.equal(status, 200, text);
    assert.match(text, expected);
  });
}

const refusals: [path: string, token: string, status: number, reason: RegExp][] = [
  ['2/diff?slot=7', 'all-admin', 404, /no candidate in slot 7/],
  ['2/diff?against=9', 'all-admin', 404, /generation 9 of acme is not known/],
  ['2/diff?colour=red', 'all-admin', 422, /colour/],
  ['9/export', 'all-admin', 404, /not known/],
  ['2/export', 'acme-viewer', 403, /./],
  ['2/diff', 'globex-admin', 403, /./],
];
for (const [path, token, status, reason] of refusals) {
  test(`refused: ${path} for ${token}`, async () => {
    const answer = await get(path, token);
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.text, reason);
  });
}

async function unpack(bytes: Buffer): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const tar = extract();
  tar.end(gunzipSync(bytes));
  for await (const entry of tar) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    files.set(entry.header.name, Buffer.concat(chunks).toString('utf8'));
  }
  return files;
}

test('what came to nothing is shown, with its source and its conversation', async () => {
  const { attempts } = JSON.parse((await get('2')).text);
  const [{ id, outcome, source, transcript }] = attempts;
  assert.deepEqual([attempts.length, id, outcome], [1, 'acme/gen/2/c1/a1', 'duplicate']);
  assert.equal((await get(`2/objects/${source}`)).text, 'broken');
  assert.equal((await get(`2/objects/${transcript}`)).text, 'a conversation');
  assert.equal((await get(`1/objects/${transcript}`)).status, 404);
});

test('looks at the traffic are listed, newest first', async () => {
  const archive = Archive.open(file);
  for (const atMs of [1_000, 2_000]) {
    archive.recordObservation({
      ...{ id: `acme/observation/${atMs}`, org: 'acme', configuration: gone, module: null },
      ...{ profile: gone, messages: 64, distance: 0.5, advantage: null },
      ...{ verdict: 'moved' as const, reason: 'points doubled', atMs },
    });
  }
  archive.close();
  const { status, text } = await get('../observations?limit=1');
  assert.equal(status, 200, text);
  const { observations } = JSON.parse(text) as { observations: Record<string, unknown>[] };
  assert.deepEqual(observations, [
    {
      ...{ at_ms: 2_000, configuration: gone, module: null, messages: 64 },
      ...{ distance: 0.5, advantage: null, verdict: 'moved', reason: 'points doubled' },
    },
  ]);
  assert.equal((await get('../observations?limit=0')).status, 422);
});

test('an export holds all that the generation refers to, and says what is gone', async () => {
  const { status, bytes } = await get('2/export');
  assert.equal(status, 200);
  const files = await unpack(bytes);
  assert.deepEqual(
    [...files.keys()],
    [
      'README.md',
      'attempts/c1.a1/aggregate.rs',
      'attempts/c1.a1/transcript',
      'candidates/c0/aggregate.rs',
      'candidates/c0/evidence/build',
      'candidates/c0/prompt',
      'corpus/check.rtc',
      'corpus/fit.rtc',
      'generation.json',
      'inputs.json',
      'plan.json',
      'profile.json',
      'relatives/acme.gen.1.c0.rs',
      'relatives/acme.gen.1.c1.rs',
      'rules.bin',
      'seed.rs',
      'spec.rs',
    ],
  );
  assert.equal(files.get('candidates/c0/aggregate.rs'), 'a\n\tY\nc\n');
  assert.equal(files.get('relatives/acme.gen.1.c1.rs'), 'a\nX\nc\n');
  const rows = JSON.parse(files.get('generation.json') ?? '');
  assert.deepEqual(rows.missing, ['candidates/c0/component.wasm']);
  assert.equal(rows.attempts[0].outcome, 'duplicate');
  assert.deepEqual(rows.random.before, seedRandom('x'));
  assert.match(files.get('README.md') ?? '', /--module c0=candidates\/c0\/component.wasm/);
  assert.ok(bytes.equals((await get('2/export')).bytes), 'the same bytes again');
  assert.ok((await unpack((await get('1/export')).bytes)).has('candidates/c1/component.wasm'));
});

test('an export of the fleet holds the renamed messages of each organization', async () => {
  const archive = Archive.open(file);
  const ref = (digest: string) => ({ digest, size: 1, mediaType: 'x' });
  const members = [
    { rules: await put('rules 0'), corpus: await put('messages 0') },
    { rules: await put('rules 1'), corpus: await put('messages 1') },
  ];
  const corpus = ref(await put(JSON.stringify({ members })));
  const configuration = '0'.repeat(64);
  const specialization = { spec: ref(await put('// fleet')), seed: ref(await put('seed')) };
  const profile = ref(await put('{}'));
  const parts = { configuration, corpus: { fit: corpus, check: corpus }, profile, specialization };
  const inputs = await put(JSON.stringify(parts));
  const id = 'fleet/gen/1';
  const random = seedRandom('x');
  archive.startGeneration({ id, configuration, parent: null, random, startedAtMs: 1 });
  archive.recordInputs(id, inputs);
  archive.close();
  const { status, bytes } = await get('../../fleet/generations/1/export');
  assert.equal(status, 200, bytes.toString('utf8').slice(0, 200));
  const files = await unpack(bytes);
  assert.equal(files.get('corpus/fit/1.rtc')?.toString(), 'messages 1');
  assert.equal(files.get('corpus/check/0.rules.bin')?.toString(), 'rules 0');
});
