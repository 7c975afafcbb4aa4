/**
 * The gates before the benchmark, by the activities themselves: source policy, compiler, module
 * policy. A source is built once, whoever proposes it.
 */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { buildActivities, instructionsSchema } from '../../activities/build/index.ts';
import type { CandidateSource } from '../../activities/types.ts';
import {
  buildAnswer,
  type GateAnswer,
  moduleAnswer,
  sourceAnswer,
} from '../../workflows/candidates.ts';
import { isFleet } from '../../workflows/level.ts';
import type { Ref } from '../../workflows/messages.ts';
import { asActivity } from './activity.ts';
import { type Book, bookKey } from './book.ts';
import { type BenchDeps, EVERY_TIME } from './deps.ts';
import type { Subject } from './subject.ts';

/** Builds at a time: nothing is measured meanwhile. */
const BUILDS = Math.min(4, availableParallelism());

const ref = z.object({ digest: z.string(), size: z.int(), mediaType: z.string() });
const builtSchema = z.object({
  component: ref.nullable(),
  seconds: z.number().nullable(),
  /** The last gate it came to. */
  gate: z.enum(['source', 'build', 'module']),
  pass: z.boolean(),
  verdict: z.string(),
  reason: z.string().nullable(),
  /** Absent in what was built before they were counted. */
  instructions: instructionsSchema.exactOptional(),
});

/** `fresh`: it was built now, not before. */
export type Built = z.output<typeof builtSchema> & { fresh: boolean };

export class Builder {
  readonly #deps: BenchDeps;
  readonly #book: Book;
  readonly #signal: AbortSignal;

  constructor(deps: BenchDeps, book: Book, signal: AbortSignal) {
    this.#deps = deps;
    this.#book = book;
    this.#signal = signal;
  }

  /** In the order of the sources. */
  async buildAll(sources: readonly CandidateSource[], subject: Subject): Promise<Built[]> {
    const built: Built[] = [];
    const waiting = [...sources.entries()];
    const work = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [index, source] = next;
        built[index] = await this.#built(source, subject);
      }
    };
    await Promise.all(Array.from({ length: BUILDS }, work));
    return built;
  }

  async #built({ id, source }: CandidateSource, subject: Subject): Promise<Built> {
    const { spec } = subject.specialization;
    // A source of the fleet is held against the texts of the traffic, too.
    const texts = isFleet(subject.name) ? [subject.corpus.fit.digest] : [];
    const parts = [this.#deps.kitDigest, spec.digest, source.digest, ...texts];
    const key = bookKey('build', ...parts);
    const before = this.#book.get(key, builtSchema);
    const { store } = this.#deps;
    if (before !== null && (before.component === null || (await store.has(before.component)))) {
      return { ...before, fresh: false };
    }
    const built = await asActivity(this.#signal, () => this.#build(id, source, subject));
    this.#book.set(key, built);
    return { ...built, fresh: true };
  }

  async #build(
    candidate: string,
    source: Ref,
    { name, specialization: { spec }, corpus }: Subject,
  ): Promise<z.output<typeof builtSchema>> {
    const { settings, store } = this.#deps;
    const stages = EVERY_TIME;
    const activities = buildActivities({ settings, store, stages, archive: NO_TWINS });
    const key = { org: name, generation: 1, rerun: 0, candidate };
    const input = { ...key, source, spec, ...(isFleet(name) && { corpus }) };
    const checked = sourceAnswer(await activities.checkSource(input));
    if (!checked.pass) return entry(checked, null);
    const made = await activities.build(input);
    const answer = buildAnswer(made);
    if (made.verdict !== 'built') return entry(answer, null);
    const { component } = made;
    const policy = moduleAnswer(await activities.checkModule({ ...input, component }));
    return { ...entry(policy, component), seconds: made.seconds };
  }
}

/** Whether a component is new is asked of each arm's own archive. */
const NO_TWINS = { moduleTwin: () => null };

function entry({ evidence: _, gate, ...given }: GateAnswer, component: Ref | null) {
  return { ...given, component, gate: gate as 'source' | 'build' | 'module' };
}
