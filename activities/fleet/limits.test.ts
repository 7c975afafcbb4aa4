/** The fleet's design on a configuration at its limits, as an instance of the sandbox runs it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { loadSettings } from '../../control/config.ts';
import { ContentStore } from '../../control/store/index.ts';
import { expressFleet } from '../../evolver/builtin/phenotype.ts';
import { configurationAtLimits, messagesAtLimits } from '../../evolver/oracle/limits.ts';
import { UNKNOWN_TRAFFIC } from '../../evolver/profile.ts';
import { random, seedRandom } from '../../evolver/random.ts';
import { specialiseFleet } from '../../evolver/specialise.ts';
import { runAggregator, TOOL_LIMITS } from '../aggregator.ts';
import { raceModules } from '../benchmark/index.ts';
import { BASELINE, wrongModule } from '../benchmark/report.ts';
import { readKit } from '../build/kit.ts';
import { compile } from '../build/rustc.ts';
import { encodeCorpus } from '../sample/corpus.ts';

const { RATCHET_KIT: kit, RATCHET_AGGREGATOR: aggregator } = process.env;
const options = kit && aggregator ? {} : { skip: 'no kit, no aggregator: run the bootstrap' };
const GENOME = { match: 'fit128', group: 'shared', extremes: 'keys', unroll: '4' };

test(
  'rules at every limit fit into an instance, and give what the baseline gives',
  options,
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ratchet-limits-'));
    const { signal } = new AbortController();
    const settings = loadSettings(process.env);
    try {
      const spec = Buffer.from(specialiseFleet().specRs);
      const aggregate = Buffer.from(expressFleet(GENOME, UNKNOWN_TRAFFIC));
      const compiled = await compile(await readKit(settings.kit), { spec, aggregate }, signal);
      assert.ok(compiled.verdict === 'compiled');
      const file = (name: string) => join(directory, name);
      await writeFile(file('core'), compiled.core);
      const args = ['componentize', '--core', file('core'), '--out', file('component')];
      await runAggregator(settings.aggregator, args, z.looseObject({}), {
        signal,
        limits: TOOL_LIMITS,
      });
      const store = new ContentStore(file('store'));
      const component = await store.put(await readFile(file('component')), 'application/wasm');
      const source = random(seedRandom('limits'));
      const { blob } = configurationAtLimits(source);
      const rules = await store.put(blob, 'application/octet-stream');
      await writeFile(file('corpus'), encodeCorpus(messagesAtLimits(source, [1, 40, 180, 1_100])));
      const report = await raceModules(
        { settings, store, modules: { get: async () => null } },
        {
          ...{ rules: rules.digest, corpus: file('corpus'), reference: BASELINE, seconds: 1 },
          modules: { fleet: component.digest },
        },
        signal,
      );
      assert.equal(wrongModule(report), null);
      assert.equal(report.messages, 4);
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);
