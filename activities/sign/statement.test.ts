/** Which kinds of statement there are: of modules built here, and of those that tenants bring. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { SignInput } from '../types.ts';
import { payloadOf } from './dsse.ts';
import { encodeStatement, foreignCodeOf, readStatement } from './statement.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/dsse.json', import.meta.url), 'utf8'),
) as { envelopes: { name: string; envelope: string }[] };

function payload(name: string): Uint8Array {
  const found = vectors.envelopes.find((each) => each.name === name);
  assert.ok(found, name);
  return payloadOf(Buffer.from(found.envelope));
}

test('both sides agree on what a foreign module is', () => {
  for (const name of ['good', 'foreign', 'tombstone']) readStatement(payload(name));
  const refused = [
    ...['foreign-with-source', 'foreign-with-toolchain', 'foreign-not-submitted'],
    ...['submitted-but-attested', 'foreign-with-unknown-field'],
  ];
  for (const name of refused) {
    assert.throws(() => readStatement(payload(name)), /a foreign module, and no other/, name);
  }
});

test('the statement of a submitted module says what is known of it', () => {
  const digest = 'a'.repeat(64);
  const benchmark = { evidence: digest, ratio: 0.002, ci95: [0.001, 0.003] as [number, number] };
  const proof = { verdict: 'foreign' as const };
  const module = { digest, size: 12, mediaType: 'application/wasm' };
  const origin = { name: 'guest.wasm', proof, benchmark };
  const input: SignInput = {
    ...{ org: 'acme', configuration: digest, version: 1, previous: null },
    ...{ issued_at_ms: 1, expires_at_ms: 2, workflow: { id: 'acme/gen/1', run_id: 'r' } },
    subject: { of: 'candidate', kind: 'promote', module, origin },
  };
  const read = readStatement(encodeStatement(input, foreignCodeOf(module, origin)));
  const { source, toolchain, mutation, proof: claimed } = read;
  assert.deepEqual([source, toolchain, claimed], [null, null, proof]);
  assert.deepEqual(mutation, { mutator: 'submitted', operator: 'guest.wasm', prompt: null });
});
