import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { encodeEnvelope, payloadOf, preAuthenticationEncoding, signer, verifies } from './dsse.ts';

/** Vectors that the aggregator's tests read as well: both sides must agree on every byte. */
const vectors = z
  .object({
    seeds: z.record(z.string(), z.string()),
    pae: z.array(z.object({ type: z.string(), payload: z.string(), pae: z.string() })),
    signatures: z.array(
      z.object({
        name: z.string(),
        payload: z.string(),
        public: z.string(),
        sig: z.string(),
        valid: z.boolean(),
      }),
    ),
    trust: z.object({ keys: z.array(z.object({ keyid: z.string(), role: z.string() })) }),
    envelopes: z.array(z.object({ name: z.string(), envelope: z.string(), expect: z.string() })),
  })
  .parse(
    JSON.parse(readFileSync(new URL('../../test/vectors/dsse.json', import.meta.url), 'utf8')),
  );

const bytes = (base64: string) => Buffer.from(base64, 'base64');

test('the encoding that is signed is that of the specification', () => {
  for (const { type, payload, pae } of vectors.pae) {
    assert.equal(preAuthenticationEncoding(type, bytes(payload)).toString('base64'), pae);
  }
});

test('key ids are those that trust files name', () => {
  for (const { keyid, role } of vectors.trust.keys) {
    assert.equal(signer(vectors.seeds[role] ?? '').keyid, keyid);
  }
});

test('a valid signature verifies, a forged one does not', () => {
  const names = new Set<string>();
  for (const { name, payload, public: key, sig, valid } of vectors.signatures) {
    // Strictness against malleated keys and signatures is the aggregator's: it decides.
    if (valid) assert.equal(verifies(key, bytes(payload), sig), true, name);
    if (valid) assert.equal(verifies(key, bytes(`${payload}AAAA`), sig), false, name);
    names.add(name);
  }
  assert.ok(names.size > 0);
});

test('both signatures over a statement give the very envelope that the aggregator accepts', () => {
  const good = vectors.envelopes.find(({ name }) => name === 'good');
  assert.ok(good);
  const payload = payloadOf(Buffer.from(good.envelope));
  const signatures = ['builder', 'validator'].map((role) =>
    signer(vectors.seeds[role] ?? '').sign(payload),
  );
  assert.deepEqual(JSON.parse(encodeEnvelope(payload, signatures)), JSON.parse(good.envelope));
});

test('a key of another length is refused', () => {
  assert.throws(() => signer('AAAA'), /a key of 3 bytes/);
});
