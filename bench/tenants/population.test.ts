import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configurationOf, digestOf, marked } from './population.ts';

test('a mark makes another component of the same length, and nothing else', () => {
  const component = Buffer.from('0061736d0d000100', 'hex');
  const components = [1, 2, 999_999].map((mark) => marked(component, mark));
  assert.equal(new Set(components.map(digestOf)).size, 3);
  for (const each of components) {
    assert.deepEqual(Buffer.from(each.subarray(0, component.length)), component);
    const [id, size, nameLength] = each.subarray(component.length);
    assert.deepEqual([id, size, nameLength], [0, each.length - component.length - 2, 4]);
  }
});

test('variants are other rules, whoever has them', () => {
  const digest = (org: string, variant: number) => configurationOf(org, variant).digest;
  assert.equal(new Set(Array.from({ length: 50 }, (_, i) => digest('acme', i))).size, 50);
  assert.equal(digest('acme', 7), digest('globex', 7));
});
