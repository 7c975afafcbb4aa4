import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { Book, bookKey } from './book.ts';

const folder = mkdtempSync(join(tmpdir(), 'ratchet-book-'));
after(() => rmSync(folder, { recursive: true }));

test('a later run knows what an earlier one wrote, the last value of a key', () => {
  const file = join(folder, 'new', 'book.jsonl');
  const first = new Book(file);
  first.set('pace/a', 1);
  first.set('pace/b', 2);
  first.set('other', { ratio: 2.5 });
  first.set('pace/a', 3);
  for (const book of [first, new Book(file)]) {
    assert.equal(book.get('pace/a', z.number()), 3);
    assert.equal(book.get('missing', z.number()), null);
    assert.equal(book.get('other', z.number()), null, 'another shape');
    assert.deepEqual(book.get('other', z.object({ ratio: z.number() })), { ratio: 2.5 });
    assert.deepEqual(book.all('pace/', z.number()), [3, 2]);
  }
});

test('a line that was cut off is dropped, and spoils no other', () => {
  const file = join(folder, 'cut.jsonl');
  new Book(file).set('a', 1);
  appendFileSync(file, '{"key":"b","val');
  const book = new Book(file);
  assert.equal(book.get('b', z.number()), null);
  book.set('c', 3);
  assert.equal(new Book(file).get('c', z.number()), 3);
  assert.equal(new Book(file).get('a', z.number()), 1);
  for (const odd of ['null', '7', '{}', '{"key":1,"value":2}']) appendFileSync(file, `${odd}\n`);
  assert.equal(new Book(file).get('c', z.number()), 3);
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 8);
});

test('keys tell their parts apart', () => {
  assert.match(bookKey('build', 'a', 'b'), /^build\/[0-9a-f]{32}$/);
  assert.notEqual(bookKey('build', 'a', 'b'), bookKey('build', 'b', 'a'));
  assert.notEqual(bookKey('build', 'a'), bookKey('measured', 'a'));
});
