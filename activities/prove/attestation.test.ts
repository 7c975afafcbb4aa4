import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sha256 } from '../../control/store/index.ts';
import { attestationFile, vectors } from './attestation.fixture.ts';
import { findAttestation, parseAttestation } from './attestation.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-attestations-'));
after(() => rm(directory, { recursive: true }));

test('the cases that gate and validator share', () => {
  assert.ok(vectors.cases.length > 30);
  for (const { name, text, changes, without, expect } of vectors.cases) {
    const file: Record<string, unknown> = { ...vectors.file, ...changes };
    if (without !== undefined) delete file[without];
    const found = parseAttestation(Buffer.from(text ?? JSON.stringify(file)), vectors.codec);
    assert.equal(found.ok ? 'attested' : found.reason, expect, name);
  }
});

test('what is asked for is the file of that digest', async () => {
  const codec = sha256('a codec');
  const file = join(directory, `${codec}.json`);
  const check = async (text: string | null, expected: string) => {
    if (text !== null) await writeFile(file, text);
    const found = await findAttestation(directory, codec);
    assert.equal(found.ok ? 'attested' : found.reason, expected);
    return found;
  };
  await check(null, 'attestation-missing');
  const good = attestationFile(codec);
  const found = await check(good, 'attested');
  assert.ok(found.ok && found.digest === sha256(good));
  await check(attestationFile(sha256('another')), 'attestation-mismatch');
  await check(attestationFile(codec, { errors: 1 }), 'attestation-errors');
  await check('{', 'attestation-malformed');
  await check(`${good}${' '.repeat(64 * 1024)}`, 'attestation-malformed');
  await check(good, 'attested');
});

test('a directory that cannot be read is a fault, not an answer', async () => {
  const codec = sha256('in the way');
  await mkdir(join(directory, `${codec}.json`));
  await assert.rejects(findAttestation(directory, codec), /EISDIR/);
});

test('the verifier that is believed is the one that is installed', async () => {
  const tools = new URL('../../proofs/tools.json', import.meta.url);
  assert.deepEqual(JSON.parse(await readFile(tools, 'utf8')), vectors.file.tools);
});
