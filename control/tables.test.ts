import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import type { NatsSettings } from './config.ts';
import { compileConfiguration } from './configuration/index.ts';
import { readEvents } from './events.ts';
import { connectNats, NatsFault, type NatsFaultCode } from './nats.ts';
import { connectNats as connectAs, freePorts, startStack } from './stack/index.ts';
import { sha256 } from './store/index.ts';
import { ActiveTable, ConfigurationTable, moduleBytesMax, ObjectTable } from './tables.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-tables-'));
const stack = await startStack({ stateDir: directory, services: ['nats'], ports: freePorts });
const settings: NatsSettings = {
  url: stack.addresses.nats,
  user: 'control',
  passwordFile: stack.secrets.passwordFile('control'),
  caFile: null,
};
const connection = await connectNats(settings, 'test');
after(async () => {
  await connection.close();
  await stack.stop();
  await rm(directory, { recursive: true });
});

const rule = { metric: 'm', filter: '*', group_by: [], aggregate: 'sum', window: '10s' } as const;
const compile = (id: string) => compileConfiguration('acme', [{ ...rule, group_by: [], id }]);

async function checkFault(run: () => Promise<unknown>, code: NatsFaultCode): Promise<void> {
  await assert.rejects(run, (error: unknown) => {
    assert.ok(error instanceof NatsFault, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

test('configurations: stored once, changed by compare-and-set', async () => {
  const table = await ConfigurationTable.open(connection);
  assert.deepEqual(await table.organizations(), []);
  assert.equal(await table.read('acme'), null);
  const first = await table.put(compile('a'), 1_000);
  assert.equal(first.changed, true);
  assert.equal(first.stored.effectiveFromMs, 4_000);
  assert.deepEqual(await table.read('acme'), first.stored);
  const again = await table.put(compile('a'), 900_000);
  assert.equal(again.changed, false);
  assert.equal(again.stored.effectiveFromMs, 4_000);
  const puts = ['b', 'c', 'd', 'e'].map((id) => table.put(compile(id), 2_000));
  const results = await Promise.allSettled(puts);
  const refused = results.filter((result) => result.status === 'rejected');
  assert.ok(refused.length > 0, 'somebody must lose the race');
  for (const { reason } of refused) {
    assert.ok(reason instanceof NatsFault && reason.code === 'conflict', String(reason));
  }
  assert.deepEqual(await table.organizations(), ['acme']);
});

test('configurations: an organization may not change its rules without end', async () => {
  const table = await ConfigurationTable.open(connection);
  const edit = (n: number) =>
    compileConfiguration('busy', [{ ...rule, group_by: [], id: `r${n}` }]);
  for (let n = 0; n < 48; n += 1) await table.put(edit(n), Date.now());
  await checkFault(() => table.put(edit(48), Date.now()), 'too-many');
  assert.equal((await table.put(edit(47), Date.now())).changed, false);
  const later = Date.now() + 2 * 60 * 60 * 1000 + 1_000;
  assert.equal((await table.put(edit(48), later)).changed, true);
});

test('active manifests: the revision must be the one that was read', async () => {
  const table = await ActiveTable.open(connection);
  assert.equal(await table.read('acme'), null);
  const manifest = {
    ...{ org: 'acme', configuration: 'c', module: null, version: 1, kind: 'tombstone' },
    ...{ issued_at_ms: 1, expires_at_ms: 2 },
  };
  const payload = Buffer.from(JSON.stringify({ predicate: manifest })).toString('base64');
  const envelope = Buffer.from(JSON.stringify({ payload, signatures: [] }));
  const revision = await table.write('acme', envelope, 0);
  assert.deepEqual((await table.read('acme'))?.manifest, manifest);
  await checkFault(() => table.write('acme', envelope, 0), 'conflict');
  assert.ok((await table.write('acme', envelope, revision)) > revision);
  await checkFault(() => table.write('acme', new Uint8Array(70_000), 0), 'invalid');
  await table.write('globex', Buffer.from('{}'), 0);
  await checkFault(() => table.read('globex'), 'invalid');
});

test('objects are named by their digest', async () => {
  const table = await ObjectTable.open(connection, 'modules');
  const bytes = new Uint8Array(300_000).fill(7);
  assert.equal(await table.get(sha256(bytes)), null);
  assert.equal(await table.has(sha256(bytes)), false);
  assert.equal(await table.put(bytes), sha256(bytes));
  assert.equal(await table.put(bytes), sha256(bytes));
  assert.deepEqual(await table.get(sha256(bytes)), bytes);
  assert.equal(await table.has(sha256(bytes)), true);
  // Bytes of another digest count as absent.
  const store = await new Objm(connection).open('modules');
  const name = sha256('something else');
  await store.putBlob({ name }, bytes);
  assert.equal(await table.get(name), null);
  assert.equal(await table.has(name), false);
  await store.delete(name);
  assert.equal(await table.has(name), false);
});

test('events of one organization, in order, a page at a time', async () => {
  const aggregator = await connectAs(
    settings.url,
    'aggregator',
    stack.secrets.password('aggregator'),
  );
  const publisher = jetstream(aggregator);
  for (const [org, version] of [
    ['acme', 1],
    ['globex', 1],
    ['acme', 2],
    ['acme', 3],
  ] as const) {
    await publisher.publish(`evt.${org}.swapped`, JSON.stringify({ at: 1, version }));
  }
  await aggregator.close();
  const request = { org: 'acme', after: null, sinceMs: Date.now() - 60_000, limit: 2 };
  const page = await readEvents(connection, request);
  assert.deepEqual(
    page.map((event) => [event.kind, event.body.version]),
    [
      ['swapped', 1],
      ['swapped', 2],
    ],
  );
  const after = page.at(-1)?.sequence ?? 0;
  const rest = await readEvents(connection, { ...request, after });
  assert.deepEqual(
    rest.map((event) => event.body.version),
    [3],
  );
  const last = rest.at(-1)?.sequence ?? 0;
  assert.deepEqual(await readEvents(connection, { ...request, after: last }), []);
});

test('faults say what kind they are', async () => {
  const wrong = join(directory, 'wrong');
  await writeFile(wrong, 'wrong');
  const asWrong = { ...settings, passwordFile: wrong };
  await checkFault(() => connectNats(asWrong, 'test'), 'denied');
  const noFile = { ...settings, passwordFile: join(directory, 'absent') };
  await checkFault(() => connectNats(noFile, 'test'), 'denied');
  const nowhere = { ...settings, url: 'nats://127.0.0.1:1' };
  await checkFault(() => connectNats(nowhere, 'test'), 'unavailable');
});

test('a module may be as large as aggregators read', async () => {
  const modules = await ObjectTable.open(connection, 'modules');
  const least = await modules.put(new Uint8Array(moduleBytesMax));
  assert.equal((await modules.get(least))?.length, moduleBytesMax);
  await checkFault(() => modules.put(new Uint8Array(moduleBytesMax + 1)), 'invalid');
});
