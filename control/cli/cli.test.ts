import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createApi } from '../api/app.ts';
import { makeFakes, storedConfiguration } from '../api/fakes.ts';
import { GatewayError } from '../api/gateway.ts';
import { listen } from '../api/server.ts';
import type { Environment } from '../config.ts';
import { run } from './main.ts';
import { caretLines, organizationLines, organizationRow } from './print.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-cli-'));
const fakes = makeFakes(join(directory, 'store'));
const silent = { info: () => undefined, error: () => undefined };
const app = createApi({ services: fakes.services, logger: silent, version: '0.1.0' });
const server = await listen(app, { hostname: '127.0.0.1', port: 0 });
const api = `http://${server.address}`;
fakes.configurations.set('acme', storedConfiguration('acme'));
after(async () => {
  await server.close(1_000);
  await rm(directory, { recursive: true });
});

async function ratchet(line: string, environment?: Environment, input = '') {
  let out = '';
  let error = '';
  const status = await run(line.split(' '), {
    environment: environment ?? { RATCHET_API: api, RATCHET_TOKEN: 'all-admin' },
    directory,
    writeOut: (text) => {
      out += text;
    },
    writeError: (text) => {
      error += text;
    },
    readInput: async () => input,
  });
  return { status, out, error };
}

async function check(line: string, expected: RegExp): Promise<void> {
  const { status, out, error } = await ratchet(line);
  assert.equal(status, 0, `${line}: ${error}`);
  assert.match(out, expected, line);
  const json = await ratchet(`${line} --json`);
  assert.equal(json.status, 0);
  assert.equal(typeof JSON.parse(json.out), 'object', line);
}

test('commands', async () => {
  await check('status', /ORGANIZATION .*\nacme +evolving +2 +baseline +- +- +1\n/);
  await check('status', /\nfleet +unknown +- +baseline +- +- +of 1 others/);
  await check('status acme', /captured +100 training, 90 held back/);
  await check('evolve acme --generations 3', /acme: generation 1 is next; budget: /);
  await check('generations list acme', /GENERATION +OUTCOME/);
  await check('generations rerun acme 1', /acme: re-run 1 is acme\/gen\/1\/r1/);
  await check('generations rerun acme 1 --from mutate --answers fresh', /acme: re-run 1/);
  await check('rollback acme --to 2', /acme: version 3 serves module aaaa/);
  await check('pause acme --reason because --cancel-running', /acme: paused/);
  await check('resume acme', /acme: resumed/);
  await check('budget acme --target-ratio 2.5 --usd 3', /acme: 6 generations/);
  await check('events acme', /1970-01-01T00:00:01Z swapped/);
  const sent = fakes.calls.find((call) => call.name === 'evolve')?.request;
  assert.deepEqual((sent as { budget: object }).budget, { generations: 3 });
  const rerun = fakes.calls.findLast((call) => call.name === 'rerunGeneration')?.request;
  const { from, answers } = rerun as { from: string; answers: string };
  assert.deepEqual([from, answers], ['mutate', 'fresh']);
});

test('modules submit: a file, its name, and what is none', async () => {
  const path = join(directory, 'guest.wasm');
  await writeFile(path, Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]));
  await check(
    `modules submit acme ${path}`,
    /acme: guest\.wasm \(8 bytes, [0-9a-f]{16}\) is generation 3\n.*generations show acme 3/,
  );
  const sent = fakes.calls.findLast((call) => call.name === 'submit')?.request;
  const { component, name } = sent as { component: { digest: string; size: number }; name: string };
  const stored = await fakes.services.store.get(component.digest);
  assert.deepEqual([name, component.size, stored.length], ['guest.wasm', 8, 8]);
  const refusals: [Uint8Array, number, RegExp][] = [
    [Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), 1, /begins with 0061736d01000000/],
    [new Uint8Array(0), 1, /begins with nothing/],
    [new Uint8Array(16 * 1024 * 1024 + 1), 2, /16777217 bytes, 16777216 allowed/],
  ];
  for (const [bytes, status, message] of refusals) {
    await writeFile(path, bytes);
    const refused = await ratchet(`modules submit acme ${path}`);
    assert.equal(refused.status, status, refused.error);
    assert.match(refused.error, message);
  }
  assert.equal((await ratchet('modules submit acme /nowhere.wasm')).status, 2);
});

test('configure: a file, standard input, and a refusal with a caret', async () => {
  const good = 'rules: [{ id: a, metric: m, aggregate: sum, window: 30s }]';
  await mkdir(join(directory, 'orgs'), { recursive: true });
  await writeFile(join(directory, 'good.yaml'), good);
  const file = await ratchet(`configure acme ${join(directory, 'good.yaml')}`);
  assert.equal(file.status, 0, file.error);
  assert.match(file.out, /acme: 1 rules \([0-9a-f]{16}\) in force from 1970/);
  const bad = 'rules: [{ id: a, metric: m, filter: "x:y && z:1", aggregate: sum, window: 30s }]';
  const refused = await ratchet('configure acme -', undefined, bad);
  assert.equal(refused.status, 1);
  assert.match(refused.error, /rule a, filter, column 5: unexpected character "&"/);
  assert.match(refused.error, /\n {4}x:y && z:1\n {8}\^\n/);
  const json = await ratchet('configure acme - --json', undefined, bad);
  assert.equal(JSON.parse(json.error).status, 422);
});

test('exit status', async () => {
  const cases: [string, number, Environment?][] = [
    ['--help', 0],
    ['generations show --help', 0],
    ['--version', 0],
    ['frobnicate', 2],
    ['status Acme', 2],
    ['generations rerun acme 0', 2],
    ['generations diff acme 9', 4],
    ['generations export acme 9', 4],
    ['generations rerun acme 1 --from shadow', 2],
    ['budget acme --usd -1', 2],
    ['rollback acme --to 1 --to-baseline', 2],
    ['budget acme', 2],
    ['configure acme no-such-file.yaml', 2],
    ['status acme', 2, {}],
    ['status acme', 2, { RATCHET_API: 'ftp://x', RATCHET_TOKEN: 't' }],
    ['status acme', 3, { RATCHET_API: api, RATCHET_TOKEN: 'wrong' }],
    ['resume acme', 3, { RATCHET_API: api, RATCHET_TOKEN: 'acme-viewer' }],
    ['generations show acme 9', 4],
    ['status initech', 4],
    ['status acme', 5, { RATCHET_API: 'http://127.0.0.1:1', RATCHET_TOKEN: 't' }],
  ];
  for (const [line, expected, environment] of cases) {
    const { status, out, error } = await ratchet(line, environment);
    assert.equal(status, expected, `${line}: ${out}${error}`);
    assert.notEqual(`${out}${error}`, '', line);
  }
  fakes.refusal = new GatewayError('conflict', 'no earlier version');
  const refused = await ratchet('rollback acme');
  fakes.refusal = null;
  assert.equal(refused.status, 1);
  assert.match(refused.error, /no earlier version/);
});

test('address and token come from cli.json of the state, found from below', async () => {
  const state = join(directory, '.ratchet');
  await mkdir(state, { recursive: true });
  await writeFile(join(state, 'cli.json'), JSON.stringify({ api, token: 'acme-viewer' }));
  assert.equal((await ratchet('status acme', {})).status, 0);
  assert.equal((await ratchet('status acme', { RATCHET_STATE: state })).status, 0);
  assert.equal((await ratchet('resume acme', {})).status, 3);
  const elsewhere = await ratchet('status acme --api http://127.0.0.1:1', {});
  assert.equal(elsewhere.status, 2, 'the stored token goes to no other address');
  await writeFile(join(state, 'cli.json'), '{}');
  assert.match((await ratchet('status', {})).error, /cli.json does not hold an api and a token/);
});

test('a caret stands below its column, also in long and in wide text', () => {
  assert.deepEqual(caretLines('abc', 2), ['    abc', '     ^']);
  assert.deepEqual(caretLines('a\tb\nc', 5), ['    a b c', '        ^']);
  const [line, caret] = caretLines(`${'x'.repeat(100)}=${'y'.repeat(100)}`, 101);
  assert.equal(line?.charAt(caret?.indexOf('^') ?? -1), '=');
});

test('status: the module of the fleet, and whoever may not see it', async () => {
  const view = {
    ...{ org: 'fleet', configuration: null, status: null, status_problem: 'away' },
    active: { version: 3, kind: 'promote', configuration: '', issued_at_ms: 1_000 },
    gain: { total: 2.5, specialisation: 1, builtin: 2.5, llm: 1 },
    serves: ['acme', 'globex'],
  };
  const row = ['fleet', 'unknown', '-', 'v3 promote', '1970-01-01T00:00:01Z', '2.50x'];
  assert.deepEqual(organizationRow(view), [...row, 'of 2 others']);
  assert.match(organizationLines(view).join('\n'), /serving +version 3 since 1970-01-01T00:00:01Z/);
  const own = await ratchet('status --json', { RATCHET_API: api, RATCHET_TOKEN: 'acme-viewer' });
  assert.equal(own.status, 0, own.error);
  const { organizations, fleet } = JSON.parse(own.out);
  assert.deepEqual([organizations.length, fleet], [1, null]);
});
