/**
 * The benchmark, by the activity itself: bit by bit against the baseline, then timed with it and
 * with the best so far, and whatever is surely better than that once more on messages that were
 * kept apart. A component is measured once, whichever arm came upon it, and held once against each
 * that was the best.
 */
import { z } from 'zod';
import { benchmarkActivities, raceModules } from '../../activities/benchmark/index.ts';
import { BASELINE, wrongModule } from '../../activities/benchmark/report.ts';
import type { BenchmarkVerdict } from '../../activities/types.ts';
import type { ActiveModule, Ref } from '../../workflows/messages.ts';
import { asActivity } from './activity.ts';
import { type Book, bookKey } from './book.ts';
import { type BenchDeps, EVERY_TIME, NO_MODULES } from './deps.ts';
import type { Subject } from './subject.ts';

/** Of each timed run; the tool takes whole seconds. */
const SECONDS = 1;
const RACE_SECONDS = 15;
/** Of what the figures mean: those of an earlier one are not taken for these. */
const VERSION = '2';
/** A lower bound above this, against the best so far, is worth a second look. */
const ELITE = 1.01;

const figures = z.object({
  us_per_message: z.number(),
  fuel_per_point: z.number(),
  ratio_to_baseline: z.number().positive(),
});
const measuredSchema = z.discriminatedUnion('verdict', [
  z.object({ verdict: z.literal('timed'), ...figures.shape }),
  z.object({ verdict: z.enum(['diverged', 'trapped', 'unmeasured']), reason: z.string() }),
]);
/**
 * `faster`: how many times faster than the best so far (or the baseline, before there is any), on
 * the messages that were kept apart; null = not surely faster on the others.
 */
const heldSchema = z.object({ faster: z.number().positive().nullable() });
type First = z.output<typeof measuredSchema>;
export type Measured =
  | (Extract<First, { verdict: 'timed' }> & z.output<typeof heldSchema>)
  | Exclude<First, { verdict: 'timed' }>;

/** The best so far: its component, and its ratio to the baseline when it was a candidate. */
export interface Best {
  component: string;
  ratio: number;
}

export interface Measurements {
  /** By component. */
  of: Map<string, Measured>;
  /** Components that were measured now. */
  fresh: Set<string>;
}

const raceSchema = z.array(z.tuple([z.string(), z.number().positive()]));
const evidenceSchema = z.looseObject({ elites: z.array(z.string()) });

export class Measurer {
  readonly #deps: BenchDeps;
  readonly #book: Book;
  readonly #signal: AbortSignal;

  constructor(deps: BenchDeps, book: Book, signal: AbortSignal) {
    this.#deps = deps;
    this.#book = book;
    this.#signal = signal;
  }

  async measure(
    subject: Subject,
    components: readonly Ref[],
    best: Best | null,
  ): Promise<Measurements> {
    const wanted = [...new Map(components.map((each) => [each.digest, each])).values()];
    const known = (digest: string) => this.#known(subject, digest, best);
    const unsettled = wanted.filter(({ digest }) => known(digest) === null);
    if (unsettled.length > 0) await this.#run(subject, unsettled, best);
    const missing = { verdict: 'unmeasured' as const, reason: 'not in the report' };
    return {
      of: new Map(wanted.map(({ digest }) => [digest, known(digest) ?? missing])),
      fresh: new Set(unsettled.map(({ digest }) => digest)),
    };
  }

  /**
   * Ratios to the baseline of all these components in one race, so that they can be compared more
   * closely than figures of different runs. A component that is wrong there is a fault: it was
   * right wherever it was looked at before.
   */
  async race(subject: Subject, components: readonly string[]): Promise<Map<string, number>> {
    const wanted = [...new Set(components)].sort();
    if (wanted.length === 0) return new Map();
    const key = this.#key(subject, 'race', ...wanted);
    const before = this.#book.get(key, raceSchema);
    if (before !== null) return new Map(before);
    const { settings, store } = this.#deps;
    const modules = Object.fromEntries(wanted.map((digest) => [digest, digest]));
    const report = await raceModules(
      { settings, store, modules: NO_MODULES },
      {
        rules: subject.configuration.blob.digest,
        corpus: store.path(subject.corpus.fit.digest),
        ...{ modules, reference: BASELINE, seconds: RACE_SECONDS },
      },
      this.#signal,
    );
    const wrong = wrongModule(report);
    if (wrong !== null) throw new Error(`${subject.name}: ${JSON.stringify(wrong.verdict)}`);
    const ratios = report.ratios.map(({ name, ratio }) => [name, ratio] as [string, number]);
    this.#book.set(key, ratios);
    return new Map(ratios);
  }

  /**
   * Null where it is to be measured: for the first time, or against a best that it seems to be
   * faster than and was not held against. Figures are never replaced, so that a run that is made
   * again meets the same ones.
   */
  #known(subject: Subject, component: string, best: Best | null): Measured | null {
    const first = this.#book.get(this.#key(subject, component), measuredSchema);
    if (first === null || first.verdict !== 'timed') return first;
    const held = this.#book.get(this.#keyAgainst(subject, component, best), heldSchema);
    if (held !== null) return { ...first, ...held };
    return first.ratio_to_baseline <= (best?.ratio ?? 1) ? { ...first, faster: null } : null;
  }

  #key({ configuration, corpus }: Subject, ...component: string[]): string {
    const inputs = [this.#deps.aggregatorDigest, configuration.digest, corpus.fit.digest];
    return bookKey('measured', VERSION, ...inputs, ...component);
  }

  #keyAgainst(subject: Subject, component: string, best: Best | null): string {
    return this.#key(subject, 'held', component, best?.component ?? 'baseline');
  }

  async #run(subject: Subject, modules: readonly Ref[], best: Best | null): Promise<void> {
    const { settings, store } = this.#deps;
    const archive = { knownRatio: () => best?.ratio ?? null };
    const needs = { settings, store, stages: EVERY_TIME, modules: NO_MODULES, archive };
    const { benchmark } = benchmarkActivities(needs);
    const { configuration, corpus } = subject;
    const result = await asActivity(this.#signal, () =>
      benchmark({
        ...{ org: subject.name, generation: 1, rerun: 0, configuration, corpus },
        candidates: modules.map((component) => ({ id: component.digest, component })),
        incumbent: best === null ? null : serving(best.component),
        ...{ seconds: SECONDS, promotion_ratio: ELITE },
      }),
    );
    const { elites } = evidenceSchema.parse(JSON.parse(await store.getText(result.evidence)));
    for (const verdict of result.candidates) {
      const key = this.#key(subject, verdict.id);
      if (this.#book.get(key, measuredSchema) === null) this.#book.set(key, toMeasured(verdict));
      const faster = toFaster(verdict, elites);
      this.#book.set(this.#keyAgainst(subject, verdict.id, best), { faster });
    }
  }
}

function toMeasured(verdict: BenchmarkVerdict): First {
  if (!('ratio' in verdict)) return { verdict: verdict.verdict, reason: verdict.reason };
  return { verdict: 'timed', ...figures.parse(verdict) };
}

/** What harms an organization of the fleet is nobody's best, however fast it is for others. */
function toFaster(verdict: BenchmarkVerdict, elites: readonly string[]): number | null {
  if (!('ratio' in verdict) || verdict.verdict === 'loses') return null;
  return elites.includes(verdict.id) ? verdict.ratio : null;
}

/** Of what stands in the active table, the benchmark reads the module. */
function serving(module: string): ActiveModule {
  return {
    ...{ version: 1, kind: 'promote', configuration: '', module, size: 0, statement: '' },
    ...{ issued_at_ms: 0, expires_at_ms: 0 },
  };
}
