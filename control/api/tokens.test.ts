import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { allows, ensureTokens, TokenFile, TokenFileError } from './tokens.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-tokens-'));
after(() => rm(directory, { recursive: true }));
const file = join(directory, 'api-tokens.json');
const tokens = new TokenFile(file);

test('tokens of a development stack are made once and work', async () => {
  assert.equal(await tokens.find('anything'), null);
  const made = await ensureTokens(directory, ['acme', 'globex'], 'http://127.0.0.1:1');
  assert.deepEqual(await tokens.find(made.token), { org: '*', role: 'admin' });
  const acme = made.organizations.acme ?? '';
  assert.deepEqual(await tokens.find(acme), { org: 'acme', role: 'operator' });
  assert.equal(await tokens.find(`${acme}x`), null);
  const producer = made.producers.acme ?? '';
  assert.deepEqual(await tokens.find(producer), { org: 'acme', role: 'producer' });
  const stored = await readFile(file, 'utf8');
  assert.ok(!stored.includes(acme) && !stored.includes(made.token));
  for (const name of ['api-tokens.json', 'cli.json']) {
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600);
  }
  const again = await ensureTokens(directory, ['acme', 'initech'], 'http://127.0.0.1:2');
  assert.equal(again.token, made.token);
  assert.equal(again.organizations.acme, acme);
  assert.equal(again.producers.acme, producer);
  assert.deepEqual(await tokens.find(again.organizations.initech ?? ''), {
    org: 'initech',
    role: 'operator',
  });
  const cli = JSON.parse(await readFile(join(directory, 'cli.json'), 'utf8'));
  assert.equal(cli.api, 'http://127.0.0.1:2');
});

test('a changed file counts at once; a broken one is told', async () => {
  await writeFile(file, '[]');
  const { token } = JSON.parse(await readFile(join(directory, 'cli.json'), 'utf8'));
  assert.equal(await tokens.find(token), null);
  for (const text of ['{', '[{"token_sha256":"x","org":"*","role":"admin"}]', '{"a":1}']) {
    await writeFile(file, text);
    await assert.rejects(tokens.find(token), TokenFileError, text);
  }
});

test('roles include those before them', () => {
  assert.ok(allows({ org: '*', role: 'admin' }, 'acme', 'operator'));
  assert.ok(allows({ org: 'acme', role: 'editor' }, 'acme', 'viewer'));
  assert.ok(!allows({ org: 'acme', role: 'editor' }, 'acme', 'operator'));
  assert.ok(!allows({ org: 'acme', role: 'admin' }, 'globex', 'viewer'));
  assert.ok(allows({ org: 'acme', role: 'viewer' }, null, 'viewer'));
  assert.ok(!allows({ org: 'acme', role: 'producer' }, 'acme', 'viewer'));
  assert.ok(!allows({ org: '*', role: 'producer' }, null, 'viewer'));
});
