import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roomPerSecond } from './room.ts';

test('a message takes its room as long as its windows are open', () => {
  const check = (messages: number, openMs: number, expected: number) => {
    const ingest = { bytes: 32_000, messages, maxBytes: 320_000 };
    assert.equal(roomPerSecond(ingest, openMs), expected);
  };
  check(32, 24_000, 10);
  check(32, 4_000, 30);
  check(64, 4_000, 60);
  const unlimited = { bytes: 32_000, messages: 32, maxBytes: -1 };
  assert.equal(roomPerSecond(unlimited, 4_000), Number.POSITIVE_INFINITY);
  assert.throws(() => check(0, 4_000, 0), /no message/);
});
