import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workloadA, workloadB } from '../../bench/workloads/workloads.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { type Proposal, type ProposalRequest, SOURCE_LIMIT, type Tried } from '../mutator.ts';
import { UNKNOWN_TRAFFIC } from '../profile.ts';
import { seedRandom } from '../random.ts';
import { specialise } from '../specialise.ts';
import { builtinArms } from './arms.ts';
import { type Genome, parseGenome } from './genome.ts';
import { builtinMutator, propose } from './index.ts';
import { express } from './phenotype.ts';

const A = compileConfiguration('acme', workloadA(1).rules);
const B = compileConfiguration('globex', workloadB(1).rules);
const PROFILE = {
  ...UNKNOWN_TRAFFIC,
  keys: ['host', 'env', 'az'].map((key, index) => ({ key, presence: 1, cardinality: 40 - index })),
};

function request(of: typeof A, changes: Partial<ProposalRequest> = {}): ProposalRequest {
  return {
    rules: of.rules,
    parent: { id: 'seed', source: specialise(of).aggregateRs, ratio: null },
    inspirations: [],
    random: seedRandom('test'),
    profile: PROFILE,
    ...changes,
  };
}

const ARMS = new Map(builtinArms(false).map((arm) => [arm.kind, arm]));

function genomeOf(proposal: Proposal): Genome {
  const genome = parseGenome(proposal.source);
  assert.ok(genome);
  return genome;
}

/** `count` proposals, each knowing the ones before, as a generation makes them. */
function generation(
  of: typeof A,
  count: number,
  changes: Partial<ProposalRequest> = {},
): Proposal[] {
  const made: Proposal[] = [];
  for (let slot = 0; slot < count; slot++) {
    const siblings: Tried[] = made.map(({ source }) => ({ source, ratio: null }));
    const tried = [...(changes.tried ?? []), ...siblings];
    made.push(propose(request(of, { random: seedRandom(`c${slot}`), ...changes, tried })));
  }
  return made;
}

test('the same request gives the same proposal', async () => {
  const mutator = builtinMutator();
  assert.equal(mutator.name, 'builtin');
  const [one, two] = [await mutator.propose(request(B)), await mutator.propose(request(B))];
  assert.deepEqual(one, two);
  assert.notDeepEqual(one.random, seedRandom('test'));
  const other = await mutator.propose(request(B, { random: one.random }));
  assert.notEqual(other.source, one.source);
});

test('proposals are new, small and say what they are', () => {
  const made = generation(B, 24);
  assert.equal(new Set(made.map(({ source }) => source)).size, made.length);
  for (const { source, operator, summary } of made) {
    assert.ok(Buffer.byteLength(source) < SOURCE_LIMIT);
    assert.match(operator, /^(likely|seed|mutate|cross):[a-z0-9=+]+$/);
    assert.ok(operator.length <= 200 && summary.length > 0 && !summary.includes('\n'));
  }
});

test('a first generation looks at good ways of working, whatever the seed', () => {
  for (let seed = 0; seed < 30; seed++) {
    const random = seedRandom(`generation ${seed}`);
    let state = random;
    const draw = (of: typeof A) => {
      const made: Proposal[] = [];
      for (let slot = 0; slot < 3; slot++) {
        const tried = made.map(({ source }) => ({ source, ratio: null }));
        const proposal = propose(request(of, { random: state, tried }));
        state = proposal.random;
        made.push(proposal);
      }
      return made.map(genomeOf);
    };
    assert.ok(
      draw(A).some((genome) => genome.dispatch !== 'scan'),
      `A, seed ${seed}`,
    );
    assert.ok(
      draw(B).some((genome) => /^(bits|fit)/.test(genome.match ?? '')),
      `B, seed ${seed}`,
    );
  }
});

test('poor choices are reachable, too', () => {
  const seen = new Set<string>();
  let random = seedRandom('reach');
  const arm = ARMS.get('seed');
  for (let draw = 0; draw < 600; draw++) {
    const proposal = propose(request(B, { random, ...(arm && { arm }) }));
    random = proposal.random;
    for (const [name, value] of Object.entries(genomeOf(proposal))) seen.add(`${name}=${value}`);
  }
  for (const choice of ['match=point', 'order=common', 'windows=general', 'unroll=1']) {
    assert.ok(seen.has(choice), choice);
  }
});

test('what was measured moves the odds', () => {
  const measured = (match: string, ratio: number): Tried => ({
    source: express({ match, windows: 'single' }, B.rules, PROFILE),
    ratio,
  });
  const share = (tried: Tried[]) => {
    let random = seedRandom('odds');
    let wide = 0;
    for (let draw = 0; draw < 200; draw++) {
      const proposal = propose(request(B, { random, tried }));
      random = proposal.random;
      if (genomeOf(proposal).match === 'bits128') wide += 1;
    }
    return wide / 200;
  };
  const before = share([]);
  assert.ok(share([measured('bits128', 8), measured('bits64', 2)]) > before + 0.1);
  assert.ok(share([measured('bits128', 1), measured('bits64', 4)]) < before);
});

test('what is likely keeps to the best of the odds, and goes further as that is known', () => {
  const arm = ARMS.get('likely');
  const measured = (genome: Genome, ratio: number): Tried => ({
    source: express({ match: 'bits64', windows: 'single', ...genome }, B.rules, PROFILE),
    ratio,
  });
  // Halves what has it: nobody who knows draws it again while there is anything else.
  const tried = [
    ...[measured({ memo: 'twins' }, 2), measured({ memo: 'twins', unroll: '4' }, 2.1)],
    ...[measured({}, 4), measured({ unroll: '4' }, 4.1), measured({ order: 'rare' }, 4.2)],
  ];
  const made = Array.from({ length: 40 }, () => {
    const random = seedRandom(`likely ${tried.length}`);
    const proposal = propose(request(B, { random, tried, ...(arm && { arm }) }));
    tried.push({ source: proposal.source, ratio: null });
    return proposal;
  });
  assert.equal(new Set(made.map(({ source }) => source)).size, 40);
  assert.deepEqual([...new Set(made.map((each) => genomeOf(each).memo))], ['none']);
});

test('a change goes rather where a better choice is known', () => {
  const arm = ARMS.get('mutate');
  const source = (genome: Genome) =>
    express({ match: 'bits64', windows: 'single', ...genome }, B.rules, PROFILE);
  const tried: Tried[] = ['flat', 'shared'].flatMap((group) =>
    ['1', '4', '8'].map((unroll) => ({
      source: source({ group, unroll }),
      ratio: group === 'shared' ? 4 : 3.6,
    })),
  );
  const share = (group: string) => {
    const parent = { id: 'p', source: source({ group, order: 'rare' }), ratio: 3.8 };
    let [random, changed] = [seedRandom('mutate'), 0];
    for (let draw = 0; draw < 100; draw++) {
      const proposal = propose(request(B, { parent, random, tried, ...(arm && { arm }) }));
      random = proposal.random;
      if (genomeOf(proposal).group !== group) changed += 1;
    }
    return changed;
  };
  assert.ok(share('flat') > 50, 'the others share what groups have in common, and are faster');
  assert.ok(share('shared') < 10);
});

test('what a model wrote teaches nothing about choices', () => {
  const source = express({ match: 'bits64', windows: 'single' }, B.rules, PROFILE);
  const parent = { id: 'p', source, ratio: 4 };
  const tried: Tried[] = [
    { source, ratio: 4 },
    ...['a', 'b', 'c'].map((name) => ({ source: `fn ${name}() {}\n`, ratio: 5 })),
  ];
  const arm = ARMS.get('mutate');
  let [random, left] = [seedRandom('models'), 0];
  for (let draw = 0; draw < 100; draw++) {
    const proposal = propose(request(B, { parent, random, tried, ...(arm && { arm }) }));
    random = proposal.random;
    const { match, windows } = genomeOf(proposal);
    if (match !== 'bits64' || windows !== 'single') left += 1;
  }
  // One of some ten operators is changed, and a third of the time two.
  assert.ok(left < 40, `${left} of 100 leave the way of the parent`);
});

test('a good parent is changed a little or crossed with an inspiration', () => {
  const good = (genome: Genome) => express(genome, B.rules, PROFILE);
  const parent = { id: 'p', source: good({ match: 'bits64', windows: 'single' }), ratio: 4 };
  const other = good({ match: 'bits64', windows: 'single', order: 'rare', unroll: '8' });
  const inspirations = [{ id: 'i', source: other, ratio: 5 }];
  const kinds = new Map<string, number>();
  let random = seedRandom('kinds');
  for (let draw = 0; draw < 200; draw++) {
    const proposal = propose(request(B, { parent, inspirations, random }));
    random = proposal.random;
    const kind = proposal.operator.split(':')[0] as string;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const { seed = 0, mutate = 0, cross = 0 } = Object.fromEntries(kinds);
  assert.ok(mutate + cross > seed, `${seed} of 200 are drawn afresh`);
  assert.ok(Math.min(mutate, cross) > 20, `${mutate} changes, ${cross} crosses`);
});

test('a parent that somebody else wrote counts as the first form', () => {
  const parent = { id: 'p', source: '#![forbid(unsafe_code)]\nfn f() {}\n', ratio: 2 };
  const proposal = propose(request(A, { parent }));
  assert.ok(parseGenome(proposal.source));
});
