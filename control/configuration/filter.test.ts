import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilterSyntaxError } from './errors.ts';
import { type Filter, parseFilter, printFilter } from './filter.ts';

/** A filter as a fully parenthesised line: the shape, with nothing left to precedence. */
function shape(filter: Filter): string {
  switch (filter.op) {
    case 'not':
      return `!${shape(filter.filter)}`;
    case 'and':
    case 'or':
      return `(${filter.filters.map(shape).join(filter.op === 'and' ? ' & ' : ' | ')})`;
    case 'in':
      return `${filter.key}∈{${filter.values.join(',')}}`;
    case 'eq':
      return `${filter.key}=${filter.value}`;
    case 'prefix':
      return `${filter.key}^${filter.prefix}`;
    case 'present':
      return `${filter.key}?`;
    case 'all':
      return 'all';
  }
}

function check(text: string, expected: string): void {
  const filter = parseFilter(text);
  assert.equal(shape(filter), expected, text);
  const printed = printFilter(filter);
  assert.deepEqual(parseFilter(printed), filter, `${text} printed as ${printed}`);
  assert.equal(printFilter(parseFilter(printed)), printed);
}

function checkError(text: string, column: number, message: RegExp): void {
  assert.throws(
    () => parseFilter(text),
    (error: unknown) => {
      assert.ok(error instanceof FilterSyntaxError, String(error));
      assert.match(error.message, message, text);
      assert.equal(error.column, column, `${text}: ${error.message}`);
      return true;
    },
  );
}

test('conditions', () => {
  check('service:web', 'service=web');
  check('service:*', 'service?');
  check('service:web-*', 'service^web-');
  check('service IN (web, db)', 'service∈{web,db}');
  check('service IN(web)', 'service∈{web}');
  check('*', 'all');
  check('"*"', 'all');
  check(' ( a:b ) ', 'a=b');
  check('path:/var/log_1.txt@50%+x', 'path=/var/log_1.txt@50%+x');
  check('state:OR', 'state=OR');
  check('state IN (OR, IN)', 'state∈{OR,IN}');
  check('"NOT":x', 'NOT=x');
});

test('precedence: NOT binds tighter than AND, AND tighter than OR', () => {
  check('a:1 OR b:2 AND c:3', '(a=1 | (b=2 & c=3))');
  check('a:1 AND b:2 OR c:3', '((a=1 & b=2) | c=3)');
  check('(a:1 OR b:2) AND c:3', '((a=1 | b=2) & c=3)');
  check('NOT a:1 AND b:2', '(!a=1 & b=2)');
  check('NOT (a:1 AND b:2)', '!(a=1 & b=2)');
  check('NOT a:1 OR NOT b:2 AND NOT NOT c:3', '(!a=1 | (!b=2 & !!c=3))');
  check('a:1 AND (b:2 AND c:3)', '(a=1 & b=2 & c=3)');
  check('(a:1 OR b:2) OR (c:3 OR d:4)', '(a=1 | b=2 | c=3 | d=4)');
  check('a:1 OR (b:2 AND (c:3 OR d:4))', '(a=1 | (b=2 & (c=3 | d=4)))');
  check('NOT k IN (x)', '!k∈{x}');
  check('* AND NOT env:dev', '(all & !env=dev)');
});

test('quotes and escapes', () => {
  check('url:"http://a b"', 'url=http://a b');
  check('"my key":"a \\"b\\" \\\\c"', 'my key=a "b" \\c');
  check('k:"*"', 'k=*');
  check('k:\\*', 'k=*');
  check('k:a\\*b', 'k=a*b');
  check('k:"a*"', 'k=a*');
  check('k:"a\\*"', 'k=a*');
  check('k:"a b"*', 'k^a b');
  check('k:a\\**', 'k^a*');
  check('"*":x', '*=x');
  check('"*":*', '*?');
  check('"*" IN (a)', '*∈{a}');
  check('k IN ("a, b", "(")', 'k∈{a, b,(}');
  check('k:"é✓"', 'k=é✓');
  check('k:"line\nbreak"', 'k=line\nbreak');
});

test('malformed text: the column and what was expected', () => {
  checkError('', 1, /expected a condition .* found the end/);
  checkError('service', 8, /expected ":" or IN after the key "service", found the end/);
  checkError('service:', 9, /expected a value directly after ":"/);
  checkError('service: web', 9, /expected a value directly after ":"/);
  checkError('service :web', 9, /expected no space before ":"/);
  checkError('a:1 b:2', 5, /expected AND, OR or the end of the filter, found "b"/);
  checkError('a:1 and b:2', 5, /found "and"; operators are written in upper case/);
  checkError('a:1 AND', 8, /expected a condition .* found the end/);
  checkError('a:1 AND OR b:2', 9, /expected a condition .* found "OR"/);
  checkError('AND a:1', 1, /expected a condition .* found "AND"/);
  checkError('NOT', 4, /expected a condition/);
  checkError('NOT:x', 4, /expected a condition .* found ":"/);
  checkError('(a:1', 5, /expected AND, OR or "\)", found the end/);
  checkError('a:1)', 4, /expected AND, OR or the end of the filter, found "\)"/);
  checkError('()', 2, /expected a condition/);
  checkError('a:"b', 3, /this quote is never closed/);
  checkError('a:"b\\n"', 5, /unknown escape/);
  checkError('a:b\\c', 4, /outside quotes only/);
  checkError('a=b', 2, /unexpected character "="/);
  checkError('é:b', 1, /unexpected character "é"/);
  checkError('a:"✓✓" 😀', 8, /unexpected character "😀"/);
  checkError('a:b:c', 4, /must be in double quotes/);
  checkError('a:b*c', 5, /a star stands only at the end of a prefix/);
  checkError('a:*b', 4, /a star stands only at the end of a prefix/);
  checkError('a:b"c"', 4, /expected a space here/);
  checkError('a*:b', 2, /expected ":" or IN after the key "a", found "\*"/);
  checkError('a:""', 3, /the value must not be empty/);
  checkError('"":a', 1, /the key must not be empty/);
  checkError('a:""*', 3, /the value must not be empty/);
  checkError(`a:${'x'.repeat(201)}`, 3, /the value has 201 bytes, the limit is 200/);
  checkError(`a:"${'é'.repeat(101)}"`, 3, /the value has 202 bytes/);
  checkError('a:"\ud800"', 3, /not well-formed Unicode/);
});

test('malformed IN lists', () => {
  checkError('a IN', 5, /expected "\(" after IN, found the end/);
  checkError('a IN b', 6, /expected "\(" after IN, found "b"/);
  checkError('a IN ()', 7, /expected a value in the IN list, found "\)"/);
  checkError('a IN (b', 8, /expected "," or "\)" in the IN list, found the end/);
  checkError('a IN (b,)', 9, /expected a value in the IN list, found "\)"/);
  checkError('a IN (b c)', 9, /expected "," or "\)" in the IN list, found "c"/);
  checkError('a IN (b, b)', 10, /"b" is in the IN list twice/);
  checkError('a IN (b*)', 8, /prefixes cannot stand in an IN list/);
  checkError('a IN (*)', 7, /prefixes cannot stand in an IN list/);
  checkError('a in (b)', 3, /operators are written in upper case/);
});

test('limits', () => {
  const leaves = (count: number): string =>
    Array.from({ length: count }, (_, index) => `k${index}:v`).join(' OR ');
  assert.equal(parseFilter(leaves(64)).op, 'or');
  checkError(leaves(65), leaves(64).length + 5, /more than 64 conditions/);
  const nots = (count: number): string => `${'NOT '.repeat(count)}a:b`;
  assert.equal(parseFilter(nots(15)).op, 'not');
  checkError(nots(16), 1, /nested deeper than 16 levels/);
  checkError(nots(1_000), 257, /nested deeper than 16 levels/);
  assert.equal(parseFilter(`${'('.repeat(60)}a:b${')'.repeat(60)}`).op, 'eq');
  checkError('('.repeat(4_000), 65, /nested deeper than 16 levels/);
  checkError(' '.repeat(20_000), 1, /20000 characters, the limit is 16384/);
  const values = Array.from({ length: 1_025 }, (_, index) => `v${index}`);
  checkError(`k IN (${values.join(',')})`, 7 + values.slice(0, 1_024).join(',').length + 1, /1024/);
});

test('random filters survive text → filter → text → filter', () => {
  let state = 42;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % below;
  };
  const words = ['a', 'AND', 'IN', '*', 'x*', 'a b', '"', '\\', 'é', 'k:v', '(', 'or', '%', '\n'];
  const word = (): string => words[random(words.length)] ?? 'a';
  const leaf = (): Filter => {
    const key = word();
    const leaves: Filter[] = [
      { op: 'eq', key, value: word() },
      { op: 'prefix', key, prefix: word() },
      { op: 'present', key },
      { op: 'in', key, values: [...new Set([word(), word()])] },
      { op: 'all' },
    ];
    return leaves[random(leaves.length)] ?? { op: 'all' };
  };
  const tree = (depth: number, parent: Filter['op']): Filter => {
    const op = (['not', 'and', 'or', 'eq'] as const)[random(4)] ?? 'eq';
    if (depth === 0 || op === 'eq' || op === parent) return leaf();
    if (op === 'not') return { op, filter: tree(depth - 1, 'not') };
    return { op, filters: [tree(depth - 1, op), tree(depth - 1, op)] };
  };
  for (let round = 0; round < 2_000; round += 1) {
    const filter = tree(4, 'all');
    const text = printFilter(filter);
    assert.deepEqual(parseFilter(text), filter, text);
  }
});
