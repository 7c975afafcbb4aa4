import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileConfiguration, type RuleInput } from '../../control/configuration/index.ts';
import { UNKNOWN_TRAFFIC } from '../profile.ts';
import { tabulate } from '../spec/tables.ts';
import { distance, FIRST_GENOME, normalise, parseGenome, printGenome } from './genome.ts';
import type { Situation } from './operator.ts';
import { OPERATORS } from './operators/index.ts';
import { expressFor } from './phenotype.ts';
import { render, TemplateError } from './template.ts';

function situation(rules: Partial<RuleInput>[], keys = ['host', 'service']): Situation {
  const inputs = rules.map(
    (each, index): RuleInput => ({
      id: `r${index}`,
      metric: 'm',
      filter: '*',
      group_by: [],
      aggregate: 'sum',
      window: '30s',
      ...each,
    }),
  );
  const profiles = keys.map((key, index) => ({ key, presence: 1, cardinality: index }));
  return {
    level: 'tenant',
    tables: tabulate(compileConfiguration('acme', inputs).rules),
    profile: { ...UNKNOWN_TRAFFIC, keys: profiles },
  };
}

const EXCLUSIVE = situation([{ filter: 'service:a' }, { filter: 'service:b' }]);
const GROUPS = situation([{ group_by: ['host'], aggregate: 'max' }, { group_by: ['service'] }]);

/** The choices that an operator offers in a situation. */
function offered(name: string, of: Situation): string[] {
  const operator = OPERATORS.find((each) => each.name === name);
  return operator?.options(of).map(({ value }) => value) ?? [];
}

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

test('preconditions of dispatch by a literal', () => {
  const check = (rules: Partial<RuleInput>[], expected: string[]) =>
    assert.deepEqual(offered('dispatch', situation(rules)), ['scan', ...expected]);
  const of = (filter: string, more: Partial<RuleInput> = {}) => ({ filter, ...more });
  check([of('service:a'), of('service:b')], ['many', 'one']);
  check([of('service:a'), of('service:a')], ['many']);
  check([of('service:a'), of('service:a', { metric: 'n' })], ['many', 'one']);
  check([of('service:a', { group_by: ['service'] })], ['many', 'one']);
  check([of('service:a', { group_by: ['host'] })], []);
  check([of('service:a'), of('host:a')], []);
  check([of('service:a'), of('*')], []);
  check([of('service IN (a, b)')], []);
  check([of('service:a*')], []);
  check([of('NOT service:a')], []);
  check([of('service:a AND service:b')], []);
  check([of('*')], []);
});

test('preconditions of the others', () => {
  const check = (name: string, of: Situation, expected: string[]) =>
    assert.deepEqual(offered(name, of), expected, name);
  check('order', GROUPS, ['written', 'rare', 'common']);
  check('order', situation([{ group_by: ['host'] }], []), ['written']);
  const many = Array.from({ length: 65 }, (_, index) => ({ group_by: [`k${index}`] }));
  check('order', situation(many), ['written']);
  check('extremes', GROUPS, ['compare', 'keys']);
  check('extremes', EXCLUSIVE, ['compare']);
  check('extremes', situation([{ aggregate: 'min' }]), ['compare', 'keys']);
  check('match', GROUPS, ['point', 'set', 'bits64', 'bits128']);
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
