/** What prompts say of the guests' interface stands in the guests' sources. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SOURCE_LIMIT } from '../mutator.ts';
import { Library } from './library.ts';
import { staticPrefix } from './prefix.ts';

const library = Library.open();
const contract = readFileSync(new URL('./prompts/contract.md', import.meta.url), 'utf8');

test('every function and type of the contract exists', () => {
  const sources = library.list().map((path) => library.read(path) ?? '');
  const code = /```rust\n([\s\S]*?)```/.exec(contract)?.[1] ?? '';
  const items = [...code.matchAll(/\b(?:pub )?(fn|trait|struct|enum) (\w+)/g)];
  assert.ok(items.length > 15);
  for (const [item, kind, name] of items) {
    const definition = new RegExp(`\\b${kind} ${name}\\b`);
    assert.ok(
      sources.some((source) => definition.test(source)),
      item,
    );
  }
  const columns = /enum Column \{([^}]*)\}/.exec(contract)?.[1]?.match(/\w+(?=[,(])/g) ?? [];
  const payload = /pub enum Column \{([\s\S]*?)\n\}/.exec(sources.join('\n'))?.[1] ?? '';
  assert.ok(columns.length >= 8);
  for (const column of columns) assert.match(payload, new RegExp(`\\b${column}\\b`));
  assert.ok(contract.includes(SOURCE_LIMIT.toLocaleString('en')));
});

test('every function of the interpreter is described, and no other', () => {
  const program = readFileSync(new URL('./repl/interpreter.mjs', import.meta.url), 'utf8');
  const groups = [...program.matchAll(/group\('(\w+)', \[([^\]]*)\]/g)];
  const names = groups.flatMap(([, group, members = '']) =>
    [...members.matchAll(/'(\w+)'/g)].map(([, member]) => `${group}.${member}`),
  );
  assert.ok(names.length > 8);
  const prefix = staticPrefix('rlm', library);
  for (const name of [
    ...names,
    'parent',
    'spec',
    'lastErrors',
    'llm',
    'llmBatch',
    'budget',
    'submit',
  ])
    assert.ok(prefix.includes(`\`${name}(`), name);
  const told = [...prefix.matchAll(/`((?:repo|git|archive|profile|notes)\.\w+)\(/g)];
  for (const [, name = ''] of told) assert.ok(names.includes(name), name);
});

test('a prefix is the same every time, and long enough for the cache', () => {
  for (const kind of ['single', 'rlm'] as const) {
    const prefix = staticPrefix(kind, library);
    assert.equal(staticPrefix(kind), prefix);
    // The longest minimum of the models is 4,096 tokens; one takes fewer than five characters here.
    assert.ok(prefix.length > 3 * 4_096, `${prefix.length}`);
  }
});
