import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { within } from './within.ts';

const late = { message: 'no answer within 50 ms' };

test('work that ends in time answers, or fails, as it does', async () => {
  assert.equal(await within(10_000, async () => 'answer'), 'answer');
  await assert.rejects(
    within(10_000, async () => Promise.reject(new Error('mine'))),
    { message: 'mine' },
  );
});

test('work that never settles is late, and is asked to end', async () => {
  let asked: AbortSignal | null = null;
  const never = (signal: AbortSignal) => {
    asked = signal;
    return new Promise<never>(() => undefined);
  };
  await assert.rejects(within(50, never), late);
  assert.equal((asked as AbortSignal | null)?.aborted, true);
});

test('work that never settles ends with an interruption, and none begins after it', async () => {
  const reason = new Error('interrupted');
  const interrupt = new AbortController();
  const asked: AbortSignal[] = [];
  const never = (signal: AbortSignal) => {
    asked.push(signal);
    return new Promise<never>(() => undefined);
  };
  setTimeout(() => interrupt.abort(reason), 20);
  for (const _ of ['during', 'after']) {
    await assert.rejects(within(10_000, never, interrupt.signal), reason);
  }
  assert.deepEqual(
    asked.map((signal) => signal.aborted),
    [true],
  );
});

test('a body that stops half way is late', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': '10' });
    response.write('half');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const read = async (signal: AbortSignal) => await (await fetch(url, { signal })).text();
    await assert.rejects(within(50, read));
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
