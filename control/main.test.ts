/** The control plane's process on real servers: API, workers, command line, drain. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ensureTokens } from './api/tokens.ts';
import { run } from './cli/main.ts';
import { freePorts, startStack } from './stack/index.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-control-'));
const stack = await startStack({
  stateDir: directory,
  services: ['temporal', 'nats', 'control'],
  ports: freePorts,
});
after(async () => {
  await stack.stop();
  await rm(directory, { recursive: true });
});
const api = stack.addresses.api;
const tokens = await ensureTokens(directory, ['acme'], api);

async function ratchet(line: string, input = ''): Promise<{ status: number; out: string }> {
  let out = '';
  const status = await run([...line.split(' '), '--json'], {
    environment: { RATCHET_STATE: directory },
    directory,
    writeOut: (text) => {
      out += text;
    },
    writeError: (text) => {
      out += text;
    },
    readInput: async () => input,
  });
  return { status, out };
}

async function ask(method: string, path: string, key?: string): Promise<Response> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${tokens.organizations.acme}`,
    ...(key !== undefined && { 'idempotency-key': key }),
  };
  return await fetch(`${api}/v1/organizations/acme${path}`, { method, headers });
}

const rules = 'rules: [{ id: a, metric: cpu, filter: "host:*", aggregate: sum, window: 10s }]';

test('an organization is unknown until it is configured', async () => {
  assert.equal((await ratchet('status acme')).status, 4);
  const resumed = await ratchet('resume acme');
  assert.equal(resumed.status, 4, resumed.out);
});

test('configuring starts the organization; the same again changes nothing', async () => {
  const first = await ratchet('configure acme -', rules);
  assert.equal(first.status, 0, first.out);
  const again = await ratchet('configure acme -', rules);
  const [a, b] = [JSON.parse(first.out), JSON.parse(again.out)];
  assert.equal(a.changed, true);
  assert.deepEqual(
    a.changes.map(({ rule, change }: { rule: string; change: string }) => [rule, change]),
    [['a', 'added']],
  );
  assert.deepEqual(b, { ...a, changed: false, changes: [] });
  const shown = JSON.parse((await ratchet('status acme')).out);
  assert.equal(shown.configuration.digest, a.digest);
  assert.equal(shown.status.configuration.digest, a.digest);
  assert.equal(shown.status.stage, 'capturing');
  assert.deepEqual(JSON.parse((await ratchet('status')).out).organizations.length, 1);
});

test('pause, resume, budget; a repeated key answers as the first time', async () => {
  assert.equal((await ratchet('pause acme --reason because')).status, 0);
  const paused = JSON.parse((await ratchet('status acme')).out).status;
  assert.deepEqual([paused.paused, paused.paused_reason], [true, 'because']);
  const one = await (await ask('POST', '/resume', 'k1')).json();
  assert.deepEqual(one, { paused: false });
  assert.equal((await ratchet('pause acme')).status, 0);
  assert.deepEqual(await (await ask('POST', '/resume', 'k1')).json(), one);
  assert.equal(JSON.parse((await ratchet('status acme')).out).status.paused, true);
  const budget = JSON.parse((await ratchet('budget acme --generations 2')).out).budget;
  assert.equal(budget.generations, 2);
});

test('what is not possible is refused as such', async () => {
  const rerun = await ask('POST', '/generations/7/rerun');
  assert.equal(rerun.status, 404, await rerun.text());
  const rollback = await ask('POST', '/rollback');
  assert.ok([404, 409].includes(rollback.status), await rollback.text());
  assert.equal(rollback.headers.get('content-type'), 'application/problem+json');
});

test('SIGTERM drains; after a restart everything is as it was', async () => {
  const before = JSON.parse((await ratchet('status acme')).out);
  const first = stack.service('control');
  await stack.restart('control');
  const log = first.logTail(1_000);
  assert.equal((await first.exited).code, 0, log);
  assert.match(log, /"msg":"stopped"/);
  assert.match(log, /ANTHROPIC_API_KEY is not set: the built-in search alone proposes/);
  assert.doesNotMatch(log, /"level":[56]0/, 'an error was logged');
  assert.notEqual(stack.service('control').pid, first.pid);
  const shown = JSON.parse((await ratchet('status acme')).out);
  assert.deepEqual(shown.configuration, before.configuration);
  assert.equal(shown.status.paused, true);
});
