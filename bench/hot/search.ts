/** The search for what `promoted/` holds: the built-in mutator, on the contest's own figures. */
import { join } from 'node:path';
import { propose } from '../../evolver/builtin/index.ts';
import type { Inspiration, Tried } from '../../evolver/mutator.ts';
import { seedRandom } from '../../evolver/random.ts';
import { buildModule, race } from './contest.ts';
import type { Report } from './report.ts';
import type { Subject } from './subject.ts';

const INSPIRATIONS = 3;
const ROUNDS = 5;

export interface Found {
  source: string;
  operator: string;
  ratio: number;
}

/** What candidates are built and timed with, in a folder, until the signal is aborted. */
export interface Tools {
  env: NodeJS.ProcessEnv;
  host: string;
  folder: string;
  signal: AbortSignal;
}

/** The best of so many candidates, and of the first form. A candidate that is wrong is nothing. */
export async function search(
  { env, host, folder, signal }: Tools,
  subject: Subject,
  { evaluations, seed }: { evaluations: number; seed: number },
  say: (line: string) => void,
): Promise<Found> {
  const measure = async (source: string): Promise<number | null> => {
    const module = await buildModule(env, subject, source, join(folder, 'candidate.wasm'), signal);
    if (module === null) return null;
    return await race(host, subject, module, ROUNDS, signal).then(ratioOf, () => {
      signal.throwIfAborted();
      return null;
    });
  };
  let state = seedRandom(`hot-${subject.name}-${seed}`);
  let best: Found = { source: subject.seed, operator: 'none', ratio: 0 };
  best.ratio = (await measure(best.source)) ?? 0;
  const tried: Tried[] = [];
  for (let evaluation = 1; evaluation <= evaluations; evaluation++) {
    const proposal = propose({
      rules: subject.rules,
      profile: subject.profile,
      parent: { id: 'best', source: best.source, ratio: best.ratio },
      inspirations: inspirationsOf(tried),
      random: state,
      tried,
    });
    state = proposal.random;
    const ratio = await measure(proposal.source);
    tried.push({ source: proposal.source, ratio });
    say(`${subject.name} ${evaluation}: ${ratio?.toFixed(2) ?? 'nothing'}, ${proposal.operator}`);
    if (ratio !== null && ratio > best.ratio) best = { ...proposal, ratio };
  }
  return best;
}

function ratioOf({ guests }: Report): number {
  return guests.find(({ name }) => name === 'baseline')?.promoted_vs.ratio ?? 0;
}

function inspirationsOf(tried: readonly Tried[]): Inspiration[] {
  const timed = tried.flatMap(({ source, ratio }) => (ratio === null ? [] : [{ source, ratio }]));
  const sorted = timed.sort((a, b) => b.ratio - a.ratio).slice(0, INSPIRATIONS);
  return sorted.map((each, index) => ({ id: `inspiration-${index}`, ...each }));
}
