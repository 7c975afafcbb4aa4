/** How many proposals a generation asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Archive } from '../../evolver/archive.ts';
import { UNKNOWN_TRAFFIC } from '../../evolver/profile.ts';
import { seedRandom } from '../../evolver/random.ts';
import { DEFAULT_SEARCH, type SearchSettings } from '../../evolver/search/settings.ts';
import { planGeneration } from './plan.ts';

const digest = 'd'.repeat(64);
const ref = (name: string) => ({ digest: name.repeat(64), size: 1, mediaType: 'x' });
const configuration = { digest, blob: ref('b'), rules: 1, effective_from_ms: 0 };
const arms = { name: 'builtin' as const, propose: () => Promise.reject(new Error('unused')) };

const WANTED = 8;

/** Slots of a generation that may have so many, after so many designs came to a verdict. */
function check(measured: number, search: Partial<SearchSettings> | undefined, expected: number) {
  const archive = Archive.open(':memory:');
  try {
    const began = { configuration: digest, parent: null, random: seedRandom('x') };
    const profile = JSON.stringify(UNKNOWN_TRAFFIC);
    archive.startGeneration({ id: 'acme/gen/1', ...began, profile, startedAtMs: 1 });
    for (let slot = 0; slot < measured; slot++) {
      const id = `acme/gen/1/c${slot}`;
      const of = { operator: 'x', parent: null, createdAtMs: 1 };
      const mutator = slot === 0 ? 'specialise' : 'builtin';
      archive.recordCandidate({ id, mutator, source: ref(`${slot}`).digest, ...of });
      archive.recordResult(id, { ratioToBaseline: 1 + slot, module: `m${slot}` });
      archive.recordVerdict(id, { gate: 'benchmark', passed: true, verdict: 'timed', atMs: 1 });
    }
    const { document, growing } = planGeneration(
      archive,
      {
        ...{ org: 'acme', generation: 2, rerun: 0, configuration, profile: ref('c') },
        ...{ specialization: { spec: ref('e'), seed: ref('f') }, mutator: 'builtin' },
        candidates: WANTED,
        ...(search && { search: { ...DEFAULT_SEARCH, ...search } }),
      },
      { builtin: arms },
    );
    assert.equal(document.slots.length, expected, `${measured} measured`);
    // The first form is alone for another reason.
    assert.equal(growing, measured > 0 && expected < WANTED);
  } finally {
    archive.close();
  }
}

test('a generation is as large as what is known allows', () => {
  check(0, undefined, 1);
  check(1, undefined, 1);
  check(2, undefined, 2);
  check(9, undefined, 8);
  check(1, { growth: 3 }, 3);
  check(3, { growth: 0.5 }, 2);
  check(1, { growth: 0 }, 8);
});
