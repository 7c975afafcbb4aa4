/** What the module policy may answer, as a process that says it. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ContentStore } from '../../control/store/index.ts';
import { INSTRUCTIONS } from '../../evolver/search/features.ts';
import { StageRecords } from '../stages.ts';
import { buildActivities } from './index.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-policy-'));
after(() => rm(directory, { recursive: true }));
const store = new ContentStore(join(directory, 'store'));
const stages = new StageRecords(join(directory, 'stages'));
const archive = { moduleTwin: () => null };

async function check(answer: unknown, expected: unknown) {
  const aggregator = join(directory, 'aggregator');
  await writeFile(aggregator, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`);
  await chmod(aggregator, 0o755);
  const settings = {
    ...{ state: directory, cache: directory, builderKeyFile: '', trustFile: '' },
    ...{ proofPolicy: 'attested' as const, wasi: 'none' as const, attestations: directory },
    ...{ kit: null, aggregator },
  };
  const component = await store.put('a component', 'application/wasm');
  const key = { org: 'acme', generation: 1, rerun: 0, candidate: 'acme/gen/1/c0' };
  const { checkModule } = buildActivities({ settings, store, stages, archive });
  const asked = checkModule({ ...key, component });
  if (expected instanceof RegExp) await assert.rejects(asked, expected, JSON.stringify(answer));
  else assert.deepEqual(await asked, expected);
}

const counts = (count: unknown) =>
  Object.fromEntries(INSTRUCTIONS.map((name, index) => [name, index === 0 ? count : index]));

test('a pass comes with what was counted, all of it or nothing', async () => {
  const pass = (instructions: unknown) => ({ verdict: 'pass', instructions });
  const refused = { verdict: 'refused', rule: 'import', reason: 'wasi' };
  const unforeseen = /check module: unforeseen answer/;
  const { vectors: _, ...fewer } = counts(1) as Record<string, unknown>;
  const cases: [unknown, unknown][] = [
    [pass(counts(0)), pass(counts(0))],
    [pass(counts(900)), pass(counts(900))],
    [refused, refused],
    [{ verdict: 'pass' }, { verdict: 'pass' }],
    [pass(fewer), unforeseen],
    [pass({ ...counts(1), prefetches: 1 }), unforeseen],
    ...[-1, 0.5, '7', null].map((odd): [unknown, RegExp] => [pass(counts(odd)), unforeseen]),
  ];
  for (const [answer, expected] of cases) await check(answer, expected);
});
