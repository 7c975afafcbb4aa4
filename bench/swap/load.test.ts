import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { workloadA } from '../workloads/workloads.ts';
import { FakeServer } from './fake-server.fixture.ts';
import { Load, type LoadConnection } from './load.ts';
import { Templates } from './templates.ts';

const STORED = '{"stream":"INGEST","seq":1}';
const REFUSED = '{"stream":"INGEST","seq":0,"error":{"code":503,"description":"full"}}';
const templates = () => new Templates(workloadA(7), 1, 7);

/** Sends some messages, and counts what became of them. */
async function check(
  answer: (before: number) => string | null,
  expected: (stats: Load['stats'], ids: readonly string[]) => boolean,
): Promise<void> {
  const server = new FakeServer(answer);
  const load = new Load(server.connection, 'acme', templates(), 1_000, 20);
  await sleep(50);
  const stats = await load.stop();
  assert.ok(expected(stats, server.ids), JSON.stringify({ stats, ids: server.ids }));
}

test('every message is answered, or given up', async () => {
  await check(
    () => STORED,
    ({ sent, stored, failed }, ids) =>
      stored > 0 && stored === sent && failed === 0 && new Set(ids).size === sent,
  );
  await check(
    () => REFUSED,
    ({ sent, stored, failed }) => stored === 0 && failed > 0 && failed === sent,
  );
  // Nobody there, and silence: asked again under the same name.
  for (const nothing of ['', null]) {
    await check(
      (before) => (before === 0 ? nothing : STORED),
      ({ sent, stored }, ids) =>
        stored === sent &&
        ids.length === sent + 1 &&
        ids.filter((id) => id === ids[0]).length === 2,
    );
    await check(
      () => nothing,
      ({ sent, stored, failed }, ids) =>
        stored === 0 && failed > 0 && failed === sent && ids.length === 4 * sent,
    );
  }
});

test('who stops a load is told why it ended', async () => {
  const publish = () => {
    throw new Error('closed');
  };
  const connection = { ...new FakeServer(() => null).connection, publish } as LoadConnection;
  const load = new Load(connection, 'acme', templates(), 1_000);
  await sleep(20);
  await assert.rejects(load.stop(), /closed/);
});

test('what was not sent in time is not sent in one burst', async () => {
  const server = new FakeServer(() => STORED);
  const load = new Load(server.connection, 'acme', templates(), 10_000);
  await sleep(20);
  const before = server.ids.length;
  const until = performance.now() + 100;
  while (performance.now() < until);
  const turn = server.ids.length;
  // Its timer and this one are due at once; theirs may run twice before this continues.
  await sleep(0);
  const burst = server.ids.length - turn;
  await load.stop();
  assert.equal(turn, before);
  assert.ok(burst <= 90, `${burst} messages at once`);
});
