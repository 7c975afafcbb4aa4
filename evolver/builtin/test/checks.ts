/** What the tests of operators check alike: preconditions, and what a choice does to a source. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileConfiguration, type RuleInput } from '../../../control/configuration/index.ts';
import { type TrafficProfile, UNKNOWN_TRAFFIC } from '../../profile.ts';
import { tabulate } from '../../spec/tables.ts';
import { FIRST_GENOME, normalise, parseGenome } from '../genome.ts';
import type { Operator, Situation } from '../operator.ts';
import { expressFor } from '../phenotype.ts';

/** Rules that differ from "the sum of m over 30 s", and keys of the traffic, rarest last. */
export function situation(
  rules: Partial<RuleInput>[],
  keys: readonly string[] = ['host', 'service'],
  traffic: Partial<TrafficProfile> = {},
): Situation {
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
    profile: { ...UNKNOWN_TRAFFIC, keys: profiles, ...traffic },
  };
}

export const FLEET: Situation = { level: 'fleet', profile: UNKNOWN_TRAFFIC };
/** No tag-set belongs to two rules. */
export const EXCLUSIVE = situation([{ filter: 'service:a' }, { filter: 'service:b' }]);
export const GROUPS = situation([
  { group_by: ['host'], aggregate: 'max' },
  { group_by: ['service'] },
]);
/** Filters as bits, which many choices are about. */
export const BITS = { match: 'bits64' };

/** The choices that an operator offers in a situation. */
export function offered(operator: Operator, of: Situation): string[] {
  return operator.options(of).map(({ value }) => value);
}

export function checkOffers(
  operator: Operator,
  cases: readonly [name: string, of: Situation, expected: readonly string[]][],
): void {
  for (const [name, of, expected] of cases) {
    test(`${operator.name}: precondition, ${name}`, () => {
      assert.deepEqual(offered(operator, of), expected);
    });
  }
}

/** How likely a first design takes the first choice rather than the second. */
export function checkPriors(
  operator: Operator,
  cases: readonly [name: string, of: Situation, likelier: string, than: string][],
): void {
  for (const [name, of, likelier, than] of cases) {
    test(`${operator.name}: prior, ${name}`, () => {
      const priors = new Map(operator.options(of).map(({ value, prior }) => [value, prior]));
      assert.ok(Number(priors.get(likelier)) > Number(priors.get(than)));
    });
  }
}

/**
 * Each choice shows in the source by a text that no other choice of the table has, and a source
 * whose choices are read and expressed again stays what it is. A choice that its neighbours make
 * meaningless changes nothing.
 */
export function checkRewrite(
  operator: Operator,
  of: Situation,
  beside: Readonly<Record<string, string>>,
  shows: Readonly<Record<string, RegExp>>,
): void {
  const express = (value: string) => {
    const genome = normalise({ ...FIRST_GENOME, ...beside, [operator.name]: value }, of);
    assert.equal(genome[operator.name], value);
    return expressFor(genome, of);
  };
  for (const [value, pattern] of Object.entries(shows)) {
    test(`${operator.name}=${value}: rewrite, and again`, () => {
      const source = express(value);
      assert.match(source, pattern);
      for (const other of Object.keys(shows)) {
        if (other !== value) assert.doesNotMatch(express(other), pattern, other);
      }
      const read = parseGenome(source);
      assert.ok(read);
      assert.equal(expressFor(read, of), source);
    });
  }
}

/** Where a choice makes no difference, it becomes the plain one. */
export function checkMatters(
  operator: Operator,
  of: Situation,
  value: string,
  cases: readonly [beside: Readonly<Record<string, string>>, matters: boolean][],
): void {
  test(`${operator.name}: matters only beside some choices`, () => {
    for (const [beside, matters] of cases) {
      const genome = normalise({ ...FIRST_GENOME, ...beside, [operator.name]: value }, of);
      const expected = matters ? value : operator.plain;
      assert.equal(genome[operator.name], expected, JSON.stringify(beside));
    }
  });
}
