import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildContest, compareControlBytes } from './contest.ts';

const { RATCHET_KIT, CARGO_TARGET_DIR } = process.env;
const ready = RATCHET_KIT !== undefined && CARGO_TARGET_DIR !== undefined;
const options = ready ? {} : { skip: 'no kit: run the bootstrap' };

/** `i8x16.swizzle`, as it stands in a module. */
const SWIZZLE = Buffer.from([0xfd, 0x0e]);

/** Natively the same comparison runs in `tests/agreement.rs`. */
test(
  'in a guest SIMD decodes every control byte as proven code does',
  options,
  async ({ signal }) => {
    const contest = await buildContest(process.env, signal);
    assert.ok(readFileSync(contest.guest).includes(SWIZZLE), 'the guest has no SIMD');
    assert.equal(await compareControlBytes(contest), 3 * 256);
  },
);
