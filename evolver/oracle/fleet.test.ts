/**
 * Designs of the fleet's own, bit by bit: they meet rules of every size, and messages of every
 * width, for which they choose among ways of their own.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { expressFleet } from '../builtin/phenotype.ts';
import { UNKNOWN_TRAFFIC } from '../profile.ts';
import { random, seedRandom } from '../random.ts';
import { specialiseFleet } from '../specialise.ts';
import { type Corpus, checkDesigns } from './harness.ts';
import { configurationAtLimits, messagesAtLimits } from './limits.ts';
import { randomConfiguration, randomMessages, type Shape } from './random.ts';

const GENOMES = [
  { match: 'fit128' },
  { match: 'fit128', group: 'shared', extremes: 'keys', unroll: '4' },
  { match: 'fit64', extremes: 'keys', unroll: '8' },
];
const SHAPES: Shape[] = ['exclusive', 'groups', 'mixed', 'single', 'windows'];

test('designs of the fleet agree with the baseline, at the limits too', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'oracle-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const source = random(seedRandom(process.env.ORACLE_SEED ?? 'fleet'));
  const corpora: Corpus[] = SHAPES.map((name) => {
    const { blob } = randomConfiguration(name, source);
    return { name, blob, messages: randomMessages(source, 80) };
  });
  const { blob } = configurationAtLimits(source);
  const messages = messagesAtLimits(source, [1, 40, 180, 420, 1_100]);
  corpora.push({ name: 'limits', blob, messages });
  const { specRs } = specialiseFleet();
  const designs = corpora.flatMap(({ name: corpus }) =>
    GENOMES.map((genome, index) => {
      const aggregateRs = expressFleet(genome, UNKNOWN_TRAFFIC);
      return { name: `${corpus}_${index}`, corpus, specRs, aggregateRs };
    }),
  );
  const findings = await checkDesigns(folder, designs, corpora);
  assert.equal(findings.length, designs.length);
  const wrong = findings.filter(({ difference }) => difference !== null);
  assert.deepEqual(wrong, []);
});
