/** The gate over kits of a few bytes, and a verifier that is a script or, where it is, the real. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile, chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { ProofPolicy } from '../../control/config.ts';
import { ContentStore, sha256 } from '../../control/store/index.ts';
import { codecDigest, readCodec } from '../../scripts/lib/codec.mjs';
import type { Ref } from '../../workflows/messages.ts';
import { readKit } from '../build/kit.ts';
import { checkUnchanged, hashLibraries, writeLinked } from '../build/linked.ts';
import { StageRecords } from '../stages.ts';
import type { ProvedCandidate, ProveResult } from '../types.ts';
import { attestationFile, vectors } from './attestation.fixture.ts';
import { proveActivities } from './index.ts';
import { findVerifier } from './verifier.ts';

const root = await mkdtemp(join(tmpdir(), 'ratchet-prove-'));
after(() => rm(root, { recursive: true, force: true }));

const LIBRARY = 'rlib/libratchet_codec.rlib';

interface Bench {
  directory: string;
  kit: string;
  attestations: string;
  store: ContentStore;
  component: Ref;
  linked: Ref;
}

const proven = 'verus! { pub fn f() {} }\n';

let benches = 0;

/** A kit, a component that was linked with it, and nothing attested. */
async function bench(source = proven): Promise<Bench> {
  benches += 1;
  const directory = join(root, String(benches));
  const kit = await makeKit(join(directory, 'kits'), source);
  const attestations = join(directory, 'attestations');
  await mkdir(attestations);
  const store = new ContentStore(join(directory, 'store'));
  return { directory, kit, attestations, store, ...(await linkWith(store, kit)) };
}

async function makeKit(kits: string, source: string): Promise<string> {
  const name = sha256(`kit of ${source}`);
  const kit = join(kits, name.slice(0, 16));
  const files: Record<string, string> = {
    [LIBRARY]: `compiled ${source}`,
    'rlib/libhashbrown.rlib': 'hashbrown',
    'codec/Cargo.toml': '[package]\nname = "ratchet-codec"\n',
    'codec/src/lib.rs': source,
    'codec/src/svb/mod.rs': 'mod svb;\n',
  };
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(kit, file)), { recursive: true });
    await writeFile(join(kit, file), text);
  }
  const libraries = Object.entries(files).filter(([file]) => file.startsWith('rlib/'));
  const json = {
    ...{ kit: name, rustc: 'rustc', rustcVersion: 'rustc 1.95.0', source: 'rustup', args: [] },
    ...{ externs: { ratchet_codec: join(kit, LIBRARY) }, template: 'lib.rs', lockDigest: 'l' },
    codecDigest: codecDigest(readCodec(join(kit, 'codec'))),
    libraries: Object.fromEntries(libraries.map(([file, text]) => [file, sha256(text)])),
  };
  await writeFile(join(kit, 'kit.json'), JSON.stringify(json));
  return kit;
}

async function linkWith(store: ContentStore, directory: string) {
  const kit = await readKit(directory);
  const component = await store.put(`component by ${kit.kit}`, 'application/wasm');
  return { component, linked: await writeLinked(store, kit, component, await hashLibraries(kit)) };
}

interface Options {
  environment?: NodeJS.ProcessEnv;
  proofPolicy?: ProofPolicy;
  kit?: string | null;
  candidates?: { component: Ref; linked: Ref }[];
}

const noVerifier = { PATH: '/nowhere' };

function activityOf(on: Bench, options: Options = {}) {
  const { environment = noVerifier, proofPolicy = 'attested' } = options;
  const paths = { state: on.directory, cache: on.directory, attestations: on.attestations };
  const kit = options.kit === undefined ? on.kit : options.kit;
  const unused = { aggregator: '', builderKeyFile: '', trustFile: '' };
  const settings = { ...paths, ...unused, kit, proofPolicy, wasi: 'none' as const };
  const stages = new StageRecords(join(on.directory, 'stages'));
  return proveActivities({ settings, store: on.store, stages }, environment).prove;
}

async function proveEach(on: Bench, options: Options = {}): Promise<ProvedCandidate[]> {
  const given = options.candidates ?? [{ component: on.component, linked: on.linked }];
  const candidates = given.map((candidate, i) => ({ id: `c${i}`, ...candidate }));
  const input = { org: 'acme', generation: 1, rerun: 0, candidates };
  const prove = activityOf(on, options);
  const result: ProveResult = await new MockActivityEnvironment().run(prove, input);
  return result.candidates;
}

function word({ proof }: ProvedCandidate): string {
  return proof.verdict === 'refused' ? proof.reason : proof.verdict;
}

async function verdict(on: Bench, options: Options = {}): Promise<string> {
  const [only] = await proveEach(on, options);
  assert.ok(only);
  return word(only);
}

async function codecOf(on: Bench): Promise<string> {
  return (await readKit(on.kit)).codecDigest;
}

async function attest(on: Bench, changes: Record<string, unknown> = {}): Promise<void> {
  const codec = await codecOf(on);
  await writeFile(join(on.attestations, `${codec}.json`), attestationFile(codec, changes));
}

test('without a verifier only an attestation of that very codec counts', async () => {
  const on = await bench();
  const codec = await codecOf(on);
  assert.equal(await verdict(on), 'attestation-missing');
  await writeFile(join(on.attestations, `${sha256('x')}.json`), attestationFile(codec));
  assert.equal(await verdict(on), 'attestation-missing');
  await attest(on, { codec: sha256('another codec') });
  assert.equal(await verdict(on), 'attestation-mismatch');
  await attest(on, { errors: 1 });
  assert.equal(await verdict(on), 'attestation-errors');
  await attest(on, { note: 'by hand' });
  assert.equal(await verdict(on), 'attestation-malformed');
  await attest(on);
  const [{ proof, evidence } = assert.fail()] = await proveEach(on);
  const attestation = sha256(attestationFile(codec));
  const { date } = vectors.file;
  assert.deepEqual(proof, { verdict: 'attested', codec, attestation, date });
  assert.equal(evidence, attestation);
  assert.ok(await on.store.has({ digest: attestation, size: 0, mediaType: '' }));
});

test('an attestation is less than the policy `verified` asks', async () => {
  const on = await bench();
  await attest(on);
  assert.equal(await verdict(on, { proofPolicy: 'verified' }), 'proof-policy');
});

/** What somebody does to a kit after a component was built with it, and what it comes to. */
const tampering: Record<string, { change: (kit: string) => Promise<unknown>; reason: string }> = {
  'one byte of a source': {
    change: (kit) => appendFile(join(kit, 'codec/src/svb/mod.rs'), ' '),
    reason: 'sources-changed',
  },
  'one more source': {
    change: (kit) => writeFile(join(kit, 'codec/src/more.rs'), ''),
    reason: 'sources-changed',
  },
  'no sources': {
    change: (kit) => rm(join(kit, 'codec'), { recursive: true }),
    reason: 'sources-missing',
  },
  "the codec's library": {
    change: (kit) => writeFile(join(kit, LIBRARY), 'compiled otherwise'),
    reason: 'library-changed',
  },
  'another library': {
    change: (kit) => appendFile(join(kit, 'rlib/libhashbrown.rlib'), ' '),
    reason: 'library-changed',
  },
  'one more library': {
    change: (kit) => writeFile(join(kit, 'rlib/libmore.rlib'), ''),
    reason: 'library-changed',
  },
  'no library': {
    change: (kit) => rm(join(kit, 'rlib/libhashbrown.rlib')),
    reason: 'library-changed',
  },
  'kit.json': {
    change: (kit) => appendFile(join(kit, 'kit.json'), ' '),
    reason: 'kit-changed',
  },
  'a kit.json of nothing': {
    change: (kit) => writeFile(join(kit, 'kit.json'), '{}'),
    reason: 'kit-malformed',
  },
  'no kit': {
    change: (kit) => rm(kit, { recursive: true }),
    reason: 'kit-missing',
  },
};

for (const [name, { change, reason }] of Object.entries(tampering)) {
  test(`a kit that was tampered with, ${name}: ${reason}`, async () => {
    const on = await bench();
    await attest(on);
    assert.equal(await verdict(on), 'attested');
    await change(on.kit);
    assert.equal(await verdict(on), reason);
  });
}

test('a library that was swapped before the build is not the one that the kit lists', async () => {
  const on = await bench();
  await attest(on);
  await writeFile(join(on.kit, LIBRARY), 'compiled otherwise');
  const candidates = [await linkWith(on.store, on.kit)];
  assert.equal(await verdict(on, { candidates }), 'library-mismatch');
  await writeFile(join(on.kit, LIBRARY), `compiled ${proven}`);
  await writeFile(join(on.kit, 'rlib/libmore.rlib'), '');
  const more = [await linkWith(on.store, on.kit)];
  assert.equal(await verdict(on, { candidates: more }), 'library-mismatch');
});

test('a library that changes while it is linked is a fault', async () => {
  const on = await bench();
  const kit = await readKit(on.kit);
  const before = await hashLibraries(kit);
  checkUnchanged(before, await hashLibraries(kit));
  await appendFile(join(on.kit, LIBRARY), ' ');
  const changed = await hashLibraries(kit);
  assert.throws(() => checkUnchanged(before, changed), /libratchet_codec.rlib changed while/);
});

test('a record speaks for its own component alone', async () => {
  const on = await bench();
  await attest(on);
  const component = await on.store.put('another component', 'application/wasm');
  const other = [{ component, linked: on.linked }];
  assert.equal(await verdict(on, { candidates: other }), 'record-mismatch');
  const linked = await on.store.put('{"schema":1}', 'application/json');
  const malformed = [{ component: on.component, linked }];
  assert.equal(await verdict(on, { candidates: malformed }), 'record-mismatch');
  assert.equal(await verdict(on, { kit: null }), 'kit-missing');
});

test('candidates that were linked with different codecs are answered for each', async () => {
  const on = await bench();
  await attest(on);
  const newer = await makeKit(dirname(on.kit), 'pub fn g() {}\n');
  const candidates = [
    { component: on.component, linked: on.linked },
    await linkWith(on.store, newer),
  ];
  const [first, second] = await proveEach(on, { kit: newer, candidates });
  assert.ok(first && second);
  assert.deepEqual([word(first), word(second)], ['attested', 'attestation-missing']);
  assert.notEqual(first.proof.codec, second.proof.codec);
});

/** Stands for the verifier: answers as told, and writes down that it ran. */
async function fakeVerus(on: Bench, results: object, more = ''): Promise<NodeJS.ProcessEnv> {
  const { verus: version, rust } = vectors.file.tools as Record<string, string>;
  const about = { verus: { version, toolchain: `${rust}-x86_64-unknown-linux-gnu` } };
  const answer = { 'verification-results': results, ...about };
  const script = join(on.directory, 'verus');
  const lines = [
    '#!/bin/sh',
    `if [ "$1" = --version ]; then echo '${JSON.stringify(about)}'; exit 0; fi`,
    `echo $$ >> '${on.directory}/runs'`,
    more,
    `echo '${JSON.stringify(answer)}'`,
  ];
  await writeFile(script, `${lines.join('\n')}\n`);
  await chmod(script, 0o755);
  return { PATH: '/usr/bin:/bin', HOME: on.directory, RATCHET_VERUS: script };
}

const passed = {
  ...{ 'encountered-error': false, 'encountered-vir-error': false, success: true },
  ...{ verified: 12, errors: 0, 'is-verifying-entire-crate': true },
};

async function runs(on: Bench): Promise<number> {
  const file = join(on.directory, 'runs');
  return existsSync(file) ? (await readFile(file, 'utf8')).trim().split('\n').length : 0;
}

test('a verifier that is here is run, once for a codec', async () => {
  const on = await bench();
  const environment = await fakeVerus(on, passed);
  const [{ proof, evidence } = assert.fail()] = await proveEach(on, { environment });
  const { tools } = vectors.file;
  const counts = { functions_verified: 12, errors: 0 };
  assert.deepEqual(proof, { verdict: 'verified', codec: await codecOf(on), ...counts, tools });
  assert.match(Buffer.from(await on.store.get(evidence ?? '')).toString(), /12 verified/);
  assert.equal(await verdict(on, { environment, proofPolicy: 'verified' }), 'verified');
  assert.equal(await runs(on), 1);
});

test('what the verifier refuses no attestation saves, and it is asked again', async () => {
  const on = await bench();
  await attest(on);
  const failed = { ...passed, success: false, errors: 1, verified: 11 };
  for (const [results, more] of [
    [failed, ''],
    [{ ...passed, verified: 0 }, ''],
    [{ ...passed, 'is-verifying-entire-crate': false }, ''],
    [passed, 'exit 3'],
    [passed, 'echo "{"'],
  ] as const) {
    const environment = await fakeVerus(on, results, more);
    assert.equal(await verdict(on, { environment }), 'verifier-refused', JSON.stringify(results));
  }
  assert.equal(await runs(on), 5);
  assert.equal(await verdict(on, { environment: await fakeVerus(on, passed) }), 'verified');
});

test('code that no verifier looks at is refused, whatever it says of the rest', async () => {
  const on = await bench('verus! { pub fn f() {} }\nfn unseen() {}\n');
  const environment = await fakeVerus(on, passed);
  assert.equal(await verdict(on, { environment }), 'verifier-refused');
});

test('a verifier that is named but cannot be used is a fault', async () => {
  const on = await bench();
  await attest(on);
  const environment = { ...noVerifier, RATCHET_VERUS: join(on.directory, 'nothing') };
  await assert.rejects(proveEach(on, { environment }), /RATCHET_VERUS/);
});

test('a cancelled proof leaves no process behind', { timeout: 60_000 }, async () => {
  const on = await bench();
  const environment = await fakeVerus(on, passed, 'sleep 600');
  const context = new MockActivityEnvironment();
  const { component, linked } = on;
  const input = {
    ...{ org: 'acme', generation: 1, rerun: 0 },
    candidates: [{ id: 'c0', component, linked }],
  };
  const proving = context.run(activityOf(on, { environment }), input);
  const ended = assert.rejects(proving);
  while ((await runs(on)) === 0) await wait(20);
  context.cancel();
  await ended;
  const pid = Number(await readFile(join(on.directory, 'runs'), 'utf8'));
  assert.throws(() => process.kill(pid, 0), /ESRCH/);
});

const cache = process.env.RATCHET_CACHE || join(homedir(), '.cache', 'ratchet');
const real = await findVerifier(cache, process.env);
const skip = real === null ? 'no verifier on this machine' : false;

test('the real verifier passes the codec, and refuses it broken', { skip }, async () => {
  const on = await bench();
  const folder = new URL('../../guest/codec/', import.meta.url).pathname;
  await rm(join(on.kit, 'codec'), { recursive: true });
  for (const part of ['Cargo.toml', 'src']) {
    await cp(join(folder, part), join(on.kit, 'codec', part), { recursive: true });
  }
  const environment = process.env;
  const check = async (expected: string) => {
    const json = JSON.parse(await readFile(join(on.kit, 'kit.json'), 'utf8'));
    json.codecDigest = codecDigest(readCodec(join(on.kit, 'codec')));
    await writeFile(join(on.kit, 'kit.json'), JSON.stringify(json));
    const candidates = [await linkWith(on.store, on.kit)];
    assert.equal(await verdict(on, { environment, candidates }), expected);
  };
  await check('verified');
  const broken = 'verus! { fn broken(x: u8) -> u8 { x + 1 } }\n';
  await appendFile(join(on.kit, 'codec/src/zigzag.rs'), broken);
  await check('verifier-refused');
});
