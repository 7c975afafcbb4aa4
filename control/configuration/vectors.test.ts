/**
 * The vectors that this encoder and the guests' decoder share. After a deliberate change of the
 * encoding, rewrite the expected values with RATCHET_UPDATE_VECTORS=1.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BlobError, compileUnknown, decodeBlob } from './index.ts';

interface Vectors {
  about: string;
  valid: { name: string; rules: unknown[]; blob: string; digest: string }[];
  invalid: { name: string; blob: string; reason: string }[];
}

const file = new URL('../../test/vectors/rules.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

if (process.env.RATCHET_UPDATE_VECTORS === '1') {
  for (const vector of vectors.valid) {
    const { blob, digest } = compileUnknown('acme', vector.rules);
    Object.assign(vector, { blob: Buffer.from(blob).toString('hex'), digest });
  }
  writeFileSync(file, `${JSON.stringify(vectors, null, 2)}\n`);
}

for (const vector of vectors.valid) {
  test(`valid: ${vector.name}`, () => {
    const compiled = compileUnknown('acme', vector.rules);
    assert.equal(Buffer.from(compiled.blob).toString('hex'), vector.blob);
    assert.equal(compiled.digest, vector.digest);
    assert.deepEqual(decodeBlob(Buffer.from(vector.blob, 'hex')), compiled.rules);
  });
}

for (const vector of vectors.invalid) {
  test(`invalid: ${vector.name}`, () => {
    assert.throws(
      () => decodeBlob(Buffer.from(vector.blob, 'hex')),
      (error: unknown) => error instanceof BlobError && error.message.includes(vector.reason),
    );
  });
}
