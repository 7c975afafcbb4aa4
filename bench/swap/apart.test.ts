import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { SwapperApart } from './apart.ts';

test('what keeps the swapper from its place is told', async () => {
  const place = {
    ...{ stateDir: tmpdir(), nats: 'nats://127.0.0.1:1' },
    ...{ builderKeyFile: '/nowhere', trustFile: '/nowhere' },
  };
  const about = { org: 'acme', configuration: '', statements: ['', ''] as const };
  const given = { place, about, password: '' };
  const { signal } = new AbortController();
  await assert.rejects(SwapperApart.open(given, signal), /^Error: swapper: .*refused/i);
  await assert.rejects(SwapperApart.open(given, AbortSignal.timeout(1)), /abort|timeout/i);
});
