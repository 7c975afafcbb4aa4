/** Bodies are sent again while they are refused for now, until whoever sends them gives up. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { CONNECTIONS, sendAll } from './sender.ts';

async function answering(
  answer: RequestListener,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const bodies = Array.from({ length: 10 }, (_, index) => Uint8Array.of(index));

test('all are sent, what was refused for now too', async ({ signal }) => {
  const taken: number[] = [];
  let refusals = 1;
  const answer: RequestListener = async (incoming, response) => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    response.statusCode = refusals-- > 0 ? 503 : 204;
    if (response.statusCode === 204) taken.push(...Buffer.concat(parts));
    response.end();
  };
  await answering(answer, async (url) => {
    assert.deepEqual(await sendAll({ url }, bodies, signal), bodies);
  });
  assert.deepEqual(
    taken.sort((a, b) => a - b),
    bodies.map(([index]) => index),
  );
});

const stuck: Record<string, RequestListener> = {
  'a receiver that refuses for an hour': (_, response) => {
    response.writeHead(429, { 'retry-after': '3600' }).end();
  },
  'a receiver that does not answer': () => undefined,
};

for (const [name, answer] of Object.entries(stuck))
  test(`${name} is given up`, { timeout: 10_000 }, async () => {
    let requests = 0;
    const interrupt = new AbortController();
    const counting: RequestListener = (incoming, response) => {
      answer(incoming, response);
      requests += 1;
      if (requests === CONNECTIONS) setTimeout(() => interrupt.abort(), 50);
    };
    await answering(counting, async (url) => {
      const sent = sendAll({ url }, bodies, interrupt.signal);
      await assert.rejects(sent, { name: 'AbortError' });
    });
    assert.equal(requests, CONNECTIONS);
  });
