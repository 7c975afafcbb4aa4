/**
 * One search: generations through the real activities on an archive in memory. Given the same
 * measurements it makes the same choices, so a run that was stopped is made again from the book.
 */
import { mutateActivities } from '../../activities/mutate/index.ts';
import { planSchema } from '../../activities/mutate/plan.ts';
import { recordActivities } from '../../activities/record/index.ts';
import type {
  BenchmarkVerdict,
  CandidateSource,
  GateRecord,
  GenerationKey,
  MissingSlot,
} from '../../activities/types.ts';
import { Archive } from '../../evolver/archive.ts';
import { builtinMutator } from '../../evolver/builtin/index.ts';
import {
  answer,
  benchmarkAnswer,
  type Candidate,
  open,
  openCandidate,
  siblingTwin,
  measured as withFigures,
} from '../../workflows/candidates.ts';
import { FLEET, isFleet } from '../../workflows/level.ts';
import { asActivity } from './activity.ts';
import { type Arm, BATCH, planOf, type Relative } from './arms.ts';
import type { Builder, Built } from './builder.ts';
import type { BenchDeps } from './deps.ts';
import { EVERY_TIME } from './deps.ts';
import { runFinals } from './finals.ts';
import type { Best, Measured, Measurer } from './measurer.ts';
import type { Subject } from './subject.ts';

export interface RunRequest {
  subject: Subject;
  arm: Arm;
  seed: number;
  evaluations: number;
}

/** The best so far, after so many evaluations. */
export interface Step {
  evaluations: number;
  /** To the baseline, as candidates are compared by it. */
  ratio: number;
  /** How the best one was made. */
  operator: string;
  /** Null before anything is better: then the baseline serves. */
  component: string | null;
  /** In one race with all that were best at some time, of all arms, on messages not met before. */
  told?: number;
}

export interface Finished {
  /** One a generation, then the finals'; the first is the first form, before any evaluation. */
  steps: Step[];
  /** Candidates that came to nothing, by gate and verdict. */
  rejected: Record<string, number>;
}

export interface Tools {
  deps: BenchDeps;
  builder: Builder;
  measurer: Measurer;
  signal: AbortSignal;
}

/** Told after each generation. `fresh`: candidates that the book did not know. */
export type Progress = (step: Step, work: { fresh: number; candidates: number }) => void;

/** So many generations in a row without a proposal, and the mutator has nothing new. */
const BARREN_MAX = 3;
/** Apart from those of other seeds. */
const GENERATIONS_MAX = 10_000;

export async function runSearch(
  tools: Tools,
  request: RunRequest,
  progress: Progress,
): Promise<Finished> {
  const archive = Archive.open(':memory:');
  try {
    return await new Search(tools, request, archive).run(progress);
  } finally {
    archive.close();
  }
}

class Search {
  readonly #tools: Tools;
  readonly #request: RunRequest;
  readonly #mutating: ReturnType<typeof mutateActivities>;
  readonly #recording: ReturnType<typeof recordActivities>;
  readonly #archive: Archive;
  readonly #rejected: Record<string, number> = {};
  #best: (Best & { parent: Relative; operator: string }) | null = null;

  constructor(tools: Tools, request: RunRequest, archive: Archive) {
    this.#tools = tools;
    this.#request = request;
    this.#archive = archive;
    const { store } = tools.deps;
    const needs = { archive, store, stages: EVERY_TIME, now: () => 1 };
    this.#mutating = mutateActivities({ ...needs, mutators: { builtin: builtinMutator() } });
    this.#recording = recordActivities({ ...needs, lineage: NO_LINEAGE });
  }

  async run(progress: Progress): Promise<Finished> {
    const { evaluations, arm } = this.#request;
    const steps: Step[] = [];
    let [done, barren] = [0, 0];
    for (let generation = 1; done < evaluations && barren < BARREN_MAX; generation++) {
      const first = generation === 1;
      const count = Math.min(BATCH[arm], evaluations - done);
      const work = await this.#generation(generation, count);
      if (!first) done += work.candidates;
      barren = work.candidates === 0 ? barren + 1 : 0;
      const { ratio, operator, component } = this.#best ?? NOTHING;
      const step = { evaluations: done, ratio, operator, component };
      steps.push(step);
      progress(step, work);
    }
    steps.push(...(await this.#finals(done)));
    return { steps, rejected: this.#rejected };
  }

  /** None of the fleet: a race is about one organization. */
  async #finals(evaluations: number): Promise<Step[]> {
    const { subject } = this.#request;
    if (isFleet(subject.name)) return [];
    const configuration = subject.configuration.digest;
    const all = { configuration, epoch: 0, before: Number.MAX_SAFE_INTEGER };
    const ranked = this.#archive.ranked({ org: this.#org(), ...all });
    const winner = await runFinals(this.#tools.measurer, subject, ranked, this.#best);
    return winner === null ? [] : [{ evaluations, ...winner }];
  }

  #org(): string {
    const { subject, arm } = this.#request;
    return isFleet(subject.name) ? FLEET : `${subject.name}-${arm}`;
  }

  async #generation(number: number, count: number): Promise<{ fresh: number; candidates: number }> {
    const { subject, seed } = this.#request;
    const org = this.#org();
    // Names and numbers decide what is drawn.
    const generation = (seed - 1) * GENERATIONS_MAX + number;
    const key: GenerationKey = { org, generation, rerun: 0 };
    const sources = await this.#propose(key, count);
    const { builder } = this.#tools;
    const built = await builder.buildAll(sources, subject);
    const answers: GateRecord[] = [];
    const candidates = sources.map((source, index) => {
      const candidate = openCandidate(source);
      answers.push(this.#passed(candidate, built[index] as Built));
      return candidate;
    });
    for (const candidate of candidates) {
      const twin = this.#twinOf(candidate, candidates);
      if (twin !== null) answers.push(answer(candidate, twin));
    }
    const fresh = await this.#measure(candidates, sources, answers);
    const { configuration, specialization } = subject;
    const outcomes = candidates.map(({ outcome }) => outcome);
    await this.#recording.record({
      ...{ ...key, configuration, spec: specialization.spec, at_ms: number, answers },
      ...{ candidates: outcomes, commits_later: true },
    });
    this.#count(outcomes);
    const isFresh = ({ fresh: now, component }: Built) =>
      now || (component !== null && fresh.has(component.digest));
    return { fresh: built.filter(isFresh).length, candidates: sources.length };
  }

  async #propose(key: GenerationKey, count: number): Promise<CandidateSource[]> {
    const { subject, arm } = this.#request;
    const { deps, signal } = this.#tools;
    const { configuration, specialization, corpus, profile, messages } = subject;
    const { plan, mutate, admit } = this.#mutating;
    const planned = await plan({
      ...{ ...key, configuration, specialization, profile, corpus, messages },
      ...{ candidates: count, mutator: 'builtin' },
    });
    const document = planSchema.parse(JSON.parse(await deps.store.getText(planned.plan)));
    const own = planOf(arm, document, this.#best?.parent ?? null);
    const stored = await deps.store.put(JSON.stringify(own), 'application/json');
    const candidates: CandidateSource[] = [];
    const missing: MissingSlot[] = [];
    for (const { index, mutator } of planned.slots) {
      const siblings = candidates.map(({ source }) => source);
      const input = { ...key, plan: stored, index, mutator, siblings };
      const verdict = await asActivity(signal, () => mutate(input));
      if (verdict.verdict === 'proposed') candidates.push(verdict.candidate);
      else missing.push({ index, mutator, reason: verdict.reason });
    }
    const made = { schema: 1, configuration: configuration.digest, corpus, profile, messages };
    const inputs = { ...made, specialization, candidates, plan: planned };
    await admit({ ...key, configuration, inputs, missing });
    return candidates;
  }

  /** Notes what the gates before the benchmark said. */
  #passed(candidate: Candidate, { component, ...given }: Built) {
    candidate.component = component;
    candidate.outcome.module = component?.digest ?? null;
    candidate.outcome.build_seconds = given.seconds;
    return answer(candidate, { ...given, evidence: null });
  }

  /** As the build gate answers about a component that was measured before. */
  #twinOf(candidate: Candidate, siblings: Candidate[]) {
    const { component, outcome } = candidate;
    if (component === null || outcome.state !== 'open') return null;
    const { digest } = this.#request.subject.configuration;
    const twin =
      this.#archive.moduleTwin(outcome.id, digest, component.digest) ??
      siblingTwin(siblings, candidate, component.digest);
    if (twin === undefined) return null;
    const reason = `the component of ${twin} again`;
    const none = { evidence: null, seconds: null };
    return { gate: 'module' as const, pass: false, verdict: 'duplicate', reason, ...none };
  }

  async #measure(
    candidates: Candidate[],
    sources: readonly CandidateSource[],
    answers: GateRecord[],
  ): Promise<Set<string>> {
    const timed = open(candidates).flatMap((candidate) => {
      const { component } = candidate;
      return component === null ? [] : [{ candidate, component }];
    });
    const components = timed.map(({ component }) => component);
    const { measurer } = this.#tools;
    const before = this.#best;
    const { of, fresh } = await measurer.measure(this.#request.subject, components, before);
    const verdicts = timed.map(({ candidate, component }) => {
      const measured = of.get(component.digest) as Measured;
      return { candidate, measured, verdict: verdictOf(candidate.outcome.id, measured, before) };
    });
    const evidence = await this.#evidence(verdicts.map(({ verdict }) => verdict));
    for (const { candidate, verdict } of verdicts) {
      withFigures(candidate, verdict);
      answers.push(answer(candidate, benchmarkAnswer(verdict, evidence)));
    }
    this.#takeBest(verdicts, sources);
    return fresh;
  }

  /** What the stage `record` reads of it. */
  async #evidence(verdicts: BenchmarkVerdict[]): Promise<string> {
    const text = JSON.stringify({ schema: 1, verdicts });
    return (await this.#tools.deps.store.put(text, 'application/json')).digest;
  }

  /** The next best is what was fastest beside the best so far, on messages that were kept apart. */
  #takeBest(
    verdicts: readonly { candidate: Candidate; measured: Measured }[],
    sources: readonly CandidateSource[],
  ): void {
    let least = 1;
    for (const { candidate, measured } of verdicts) {
      const { component, outcome } = candidate;
      if (measured.verdict !== 'timed' || component === null) continue;
      if (measured.faster === null || measured.faster <= least) continue;
      least = measured.faster;
      const { id, operator } = outcome;
      const { ratio_to_baseline: ratio } = measured;
      const source = sources.find((each) => each.id === id)?.source.digest ?? '';
      this.#best = { component: component.digest, ratio, operator, parent: { id, source, ratio } };
    }
  }

  #count(outcomes: Candidate['outcome'][]): void {
    for (const { state, gate, verdict } of outcomes) {
      if (state !== 'rejected' || verdict === 'slow') continue;
      const name = `${gate}: ${verdict}`;
      this.#rejected[name] = (this.#rejected[name] ?? 0) + 1;
    }
  }
}

const NOTHING = { ratio: 1, operator: 'none', component: null };

function verdictOf(id: string, measured: Measured, best: Best | null): BenchmarkVerdict {
  if (measured.verdict !== 'timed') return { id, ...measured };
  const { us_per_message, fuel_per_point, ratio_to_baseline, faster } = measured;
  const ratio = faster ?? ratio_to_baseline / (best?.ratio ?? 1);
  return {
    ...{ id, us_per_message, fuel_per_point, ratio, ratio_to_baseline },
    verdict: faster !== null && faster > 1 ? 'faster' : 'slow',
    ...{ ci95: [ratio, ratio] },
  };
}

/** Nothing is committed: `record` is told that the commit comes later. */
const NO_LINEAGE = {
  commitGeneration: () => Promise.reject(new Error('this bench commits nothing')),
  tag: () => Promise.reject(new Error('this bench tags nothing')),
};
