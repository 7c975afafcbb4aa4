/**
 * The test that counts: designs of the whole grammar, for configurations of every shape, compute
 * exactly what the baseline computes, bit by bit, on messages of every shape. All of them are
 * compiled in one go.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Configuration } from '../../control/configuration/index.ts';
import { type Genome, normalise, printGenome } from '../builtin/genome.ts';
import type { Situation } from '../builtin/operator.ts';
import { OPERATORS } from '../builtin/operators/index.ts';
import { expressFor } from '../builtin/phenotype.ts';
import { type TrafficProfile, UNKNOWN_TRAFFIC } from '../profile.ts';
import { type Random, random, seedRandom } from '../random.ts';
import { tabulate } from '../spec/tables.ts';
import { specialise, specialiseFleet } from '../specialise.ts';
import { type Corpus, checkDesigns, type Design } from './harness.ts';
import { randomConfiguration, randomMessages, type Shape } from './random.ts';

const SEED = process.env.ORACLE_SEED ?? 'oracle';
const SHAPES: Shape[] = ['exclusive', 'dispatch', 'groups', 'mixed', 'single', 'windows'];
const MESSAGES = 60;
/** Random genomes a configuration, beside those that cover every choice. */
const DRAWS = 3;

function profileOf(configuration: Configuration, source: Random) {
  const keys = tabulate(configuration.rules).keys.map((key) => ({
    key,
    presence: 1,
    cardinality: source.below(50),
  }));
  return { ...UNKNOWN_TRAFFIC, keys };
}

/** Genomes in which every choice that the situation allows occurs, and a few random ones. */
function coveringGenomes(situation: Situation, source: Random): [string, Genome][] {
  const draw = (fixed: Record<string, string> = {}): Genome => {
    const genome: Record<string, string> = {};
    for (const { name, options } of OPERATORS) {
      const settings = options(situation);
      genome[name] = fixed[name] ?? (settings[source.below(settings.length)]?.value as string);
    }
    return normalise(genome, situation);
  };
  const genomes = new Map<string, Genome>();
  const covered = new Set<string>();
  for (const { name, options } of OPERATORS) {
    for (const { value } of options(situation)) {
      // A choice may matter only beside some others: draw until it shows.
      for (let attempt = 0; attempt < 40 && !covered.has(`${name}=${value}`); attempt++) {
        const genome = draw({ [name]: value });
        if (genome[name] !== value) continue;
        genomes.set(printGenome(genome), genome);
        for (const [gene, choice] of Object.entries(genome)) covered.add(`${gene}=${choice}`);
      }
    }
  }
  for (let extra = 0; extra < DRAWS; extra++) {
    const genome = draw();
    genomes.set(printGenome(genome), genome);
  }
  return [...genomes];
}

/** A few generic modules: each is one more to compile for every configuration. */
function fleetSources(profile: TrafficProfile, source: Random): string[] {
  const situation = { level: 'fleet' as const, profile };
  const genomes = coveringGenomes(situation, source).map(([, genome]) => genome);
  return shuffled(genomes, source)
    .slice(0, DRAWS)
    .map((each) => expressFor(each, situation));
}

function shuffled<Item>(items: readonly Item[], source: Random): Item[] {
  const left = [...items];
  return items.flatMap(() => left.splice(source.below(left.length), 1));
}

test(`designs agree with the baseline bit by bit (seed ${SEED})`, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'oracle-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const source = random(seedRandom(SEED));
  const designs: Design[] = [];
  const corpora: Corpus[] = [];
  const texts = new Map<string, string>();
  const [offered, shown] = [new Set<string>(), new Set<string>()];
  const fleet = specialiseFleet();
  const add = (design: Design) => {
    designs.push(design);
    texts.set(design.name, design.aggregateRs.split('\n')[1] ?? '');
  };
  for (const shape of SHAPES) {
    const configuration = randomConfiguration(shape, source);
    const messages = randomMessages(source, MESSAGES);
    corpora.push({ name: shape, blob: configuration.blob, messages });
    const profile = profileOf(configuration, source);
    const situation = { level: 'tenant' as const, tables: tabulate(configuration.rules), profile };
    const { specRs, aggregateRs } = specialise(configuration);
    for (const { name, options } of OPERATORS) {
      for (const { value } of options(situation)) offered.add(`${name}=${value}`);
    }
    const sources = coveringGenomes(situation, source).map(([, genome]) => {
      for (const [gene, choice] of Object.entries(genome)) shown.add(`${gene}=${choice}`);
      return expressFor(genome, situation);
    });
    for (const [index, text] of [aggregateRs, ...sources].entries()) {
      add({ name: `${shape}_${index}`, corpus: shape, specRs, aggregateRs: text });
    }
    for (const [index, text] of fleetSources(profile, source).entries()) {
      const specRs = fleet.specRs;
      add({ name: `${shape}_fleet_${index}`, corpus: shape, specRs, aggregateRs: text });
    }
  }
  const findings = await checkDesigns(folder, designs, corpora);
  const wrong = findings
    .filter(({ difference }) => difference !== null)
    .map(({ name, difference }) => `${name} ${texts.get(name)}: ${difference}`);
  assert.deepEqual(wrong, []);
  assert.equal(findings.length, designs.length);
  assert.deepEqual([...shown].sort(), [...offered].sort(), 'every choice was in some design');
  for (const { name } of OPERATORS) {
    const choices = [...shown].filter((choice) => choice.startsWith(`${name}=`));
    assert.ok(choices.length > 1, `no configuration here has a choice of ${name}`);
  }
  context.diagnostic(`${designs.length} designs on ${MESSAGES} messages each`);
});
