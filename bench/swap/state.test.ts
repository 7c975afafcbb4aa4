import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { roomiest } from './state.ts';

const GIB = 1024 ** 3;

test('state is in memory where it has room', () => {
  for (const [there, memory, expected] of [
    [8 * GIB, 12 * GIB, '/dev/shm'],
    [8 * GIB - 1, 64 * GIB, tmpdir()],
    [64 * GIB, 12 * GIB - 1, tmpdir()],
    [0, 64 * GIB, tmpdir()],
  ] as const) {
    assert.equal(roomiest(there, memory), expected);
  }
});
