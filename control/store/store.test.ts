import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { ContentStore, objectBytesMax, StoreError, type StoreErrorCode, sha256 } from './index.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-store-'));
const store = new ContentStore(join(directory, 'store'));
after(() => rm(directory, { recursive: true }));

async function checkError(run: () => Promise<unknown>, code: StoreErrorCode): Promise<void> {
  await assert.rejects(run, (error: unknown) => error instanceof StoreError && error.code === code);
}

test('what is put is got, by reference or by digest', async () => {
  const reference = await store.put('hello', 'text/plain');
  assert.deepEqual(reference, { digest: sha256('hello'), size: 5, mediaType: 'text/plain' });
  assert.equal(await store.getText(reference), 'hello');
  assert.deepEqual(await store.get(reference.digest), new Uint8Array(Buffer.from('hello')));
  assert.equal(await store.has(reference), true);
  assert.equal(await store.has(sha256('other')), false);
  assert.equal((await store.get(await store.put(new Uint8Array(), 'a/b'))).length, 0);
});

test('concurrent puts of the same bytes leave one object and no temporary file', async () => {
  const puts = Array.from({ length: 8 }, () => store.put('same', 'text/plain'));
  const digests = new Set((await Promise.all(puts)).map((each) => each.digest));
  assert.deepEqual([...digests], [sha256('same')]);
  assert.deepEqual(await readdir(dirname(store.path(sha256('same')))), [sha256('same').slice(2)]);
});

test('bytes that changed on disk are refused, and repaired by putting them again', async () => {
  const { digest } = await store.put('to be damaged', 'text/plain');
  await chmod(store.path(digest), 0o600);
  await truncate(store.path(digest), 3);
  await checkError(() => store.get(digest), 'corrupt');
  await store.put('to be damaged', 'text/plain');
  assert.equal(await store.getText(digest), 'to be damaged');
  await writeFile(store.path(digest), 'to be DAMAGED');
  await checkError(() => store.get(digest), 'corrupt');
});

test('refusals', async () => {
  await checkError(() => store.get(sha256('absent')), 'missing');
  await checkError(() => store.get('../../etc/passwd'), 'invalid-digest');
  await checkError(() => store.has(sha256('x').toUpperCase()), 'invalid-digest');
  await checkError(() => store.put(new Uint8Array(objectBytesMax + 1), 'a/b'), 'too-large');
});
