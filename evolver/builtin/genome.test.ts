import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distance, FIRST_GENOME, normalise, parseGenome, printGenome } from './genome.ts';
import type { Situation } from './operator.ts';
import { OPERATORS } from './operators/index.ts';
import { expressFor } from './phenotype.ts';
import { render, TemplateError } from './template.ts';
import { EXCLUSIVE, GROUPS } from './test/checks.ts';

test('every genome that shows is read back from its source', () => {
  for (const of of [EXCLUSIVE, GROUPS]) {
    for (const { name, options } of OPERATORS) {
      for (const { value } of options(of)) {
        const genome = normalise({ ...FIRST_GENOME, match: 'bits64', [name]: value }, of);
        assert.deepEqual(parseGenome(expressFor(genome, of)), genome, `${name}=${value}`);
      }
    }
  }
});

test('a source without a genome has none', () => {
  const head = '#![forbid(unsafe_code)]\n';
  const check = (line: string) => assert.equal(parseGenome(`${head}${line}\n`), null, line);
  check('');
  check('// genome: {');
  check('// genome: {"match":7}');
  check('// genome: {"match":"a b"}');
  check(`${' '.repeat(3_000)}\n// genome: ${printGenome(FIRST_GENOME)}`);
  // What it does not say is plain; what is unknown is dropped.
  const some = parseGenome(`${head}// genome: {"match":"bits64","other":"x"}\n`);
  assert.deepEqual(some, { ...FIRST_GENOME, match: 'bits64' });
});

test('choices that fail their precondition or matter to nobody become plain', () => {
  const check = (of: Situation, given: Record<string, string>, expected: Record<string, string>) =>
    assert.deepEqual(normalise({ ...FIRST_GENOME, ...given }, of), {
      ...FIRST_GENOME,
      ...expected,
    });
  check(EXCLUSIVE, { dispatch: 'one' }, { dispatch: 'one' });
  check(GROUPS, { dispatch: 'one' }, {});
  check(EXCLUSIVE, { dispatch: 'one', match: 'bits64', group: 'shared' }, { dispatch: 'one' });
  check(GROUPS, { group: 'shared' }, {});
  check(GROUPS, { match: 'bits64', group: 'shared' }, { match: 'bits64', group: 'shared' });
  check(EXCLUSIVE, { literals: 'map', compare: 'words' }, { literals: 'map' });
  check(GROUPS, { match: 'bits64', cells: 'arrays' }, { match: 'bits64' });
  check(GROUPS, { pull: 'unheard of' }, {});
});

test('every operator offers its plain choice, and nothing impossible', () => {
  for (const of of [EXCLUSIVE, GROUPS]) {
    for (const { name, plain, options } of OPERATORS) {
      const settings = options(of);
      assert.ok(
        settings.some(({ value }) => value === plain),
        name,
      );
      assert.ok(
        settings.every(({ prior }) => prior > 0 && Number.isFinite(prior)),
        name,
      );
      assert.equal(new Set(settings.map(({ value }) => value)).size, settings.length, name);
    }
  }
  assert.equal(distance(FIRST_GENOME, { ...FIRST_GENOME, match: 'point', pull: 'rest' }), 2);
});

test('templates: what is kept, and what is refused', () => {
  const check = (template: string, expected: string) =>
    assert.equal(render(template, { a: 'x', b: ['y', 'z'] }), expected);
  check('1\n//@ if a=x\n2\n//@ else\n3\n//@ end\n4', '1\n2\n4');
  check('//@ if a=w|x\n1\n//@ end', '1');
  check('//@ if b=z\n1\n//@ end', '1');
  check('//@ if a=w\n//@ if b=z\n1\n//@ else\n2\n//@ end\n//@ else\n3\n//@ end', '3');
  check('  //@ if a=w\n1\n  //@ end\n<{{a}}>', '<x>');
  for (const bad of [
    '//@ if a=x',
    '//@ end',
    '//@ else',
    '//@ when a=x',
    '//@ if c=x\n//@ end',
    '{{b}}',
    '{{c}}',
  ]) {
    assert.throws(() => render(bad, { a: 'x', b: ['y'] }), TemplateError, bad);
  }
});
