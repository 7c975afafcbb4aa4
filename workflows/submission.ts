/**
 * A generation whose one candidate a tenant brought, as a component: it is not built here, its
 * codec is not proven and it need not be faster than what serves; every other gate is that of all
 * modules. Like any generation it always ends with a result.
 */
import { CancellationScope } from '@temporalio/workflow';
import type { BenchmarkVerdict, Corpus, GenerationKey } from '../activities/types.ts';
import {
  answer,
  benchmarkAnswer,
  type Candidate,
  close,
  faultAnswer,
  type GateAnswer,
  measured,
  moduleAnswer,
  openCandidate,
  outcomeWithoutPromotion,
  passAnswer,
  shadowAnswer,
} from './candidates.ts';
import { now } from './clock.ts';
import { Course } from './course.ts';
import { describeFailure } from './failure.ts';
import { unchanged } from './generation.ts';
import type { End } from './inputs.ts';
import { confirmSwap, issueManifest } from './manifest.ts';
import * as m from './messages.ts';
import { evolverActivities, shadowing } from './proxies.ts';
import { clip } from './summary.ts';

/** A language's runtime takes aggregators ten seconds of processor time and more to compile. */
const CONFIRM_SECONDS_MIN = 480;

/** Each is compared three times, once on an instance of its own: of a runtime, 0.2 s and more. */
const MESSAGES_MAX = 48;

export type SubmissionInput = m.GenerationInput & { submitted: m.Submitted };

export async function submission(input: SubmissionInput): Promise<m.GenerationResult> {
  return await new Submission(input).run();
}

class Submission {
  private readonly input: SubmissionInput;
  private readonly key: GenerationKey;
  private readonly evolver: ReturnType<typeof evolverActivities>;
  private readonly started_ms = now();
  private readonly candidate: Candidate;
  private readonly course: Course;
  private benchmark: m.Ref | null = null;
  private promoted: m.ActiveModule | null = null;
  private unconfirmed: m.ActiveModule | null = null;

  constructor(input: SubmissionInput) {
    const { org, generation, rerun, submitted } = input;
    this.input = input;
    this.key = { org, generation, rerun };
    this.evolver = evolverActivities(input.evolver_queue);
    this.candidate = openCandidate({
      id: `${m.generationId(org, generation, rerun)}/c0`,
      ...{ index: 0, source: submitted.component, mutator: 'submitted' },
      ...{ operator: submitted.name, summary: submitted.name, parent: null },
    });
    this.candidate.outcome.module = submitted.component.digest;
    this.course = new Course(this.key, 'build', () => [this.candidate]);
  }

  async run(): Promise<m.GenerationResult> {
    return await this.course.run(
      () => this.stages(),
      (end) => this.conclude(end),
    );
  }

  private async stages(): Promise<End> {
    if (!(await this.isAdmitted())) return this.stopped();
    const sample = await this.sample();
    if (sample.verdict === 'insufficient') {
      return { outcome: 'insufficient', detail: `${sample.messages} training messages` };
    }
    // Nobody proves it; the manifest says so, and aggregators ask their own policy.
    this.take(passAnswer('proof', 'foreign'));
    const timed = await this.measure(sample.corpus);
    if (!('ratio' in timed) || !(await this.passesShadow())) return this.stopped();
    // From the signature on nothing stops half way: a manifest is published and told, or neither.
    return await CancellationScope.nonCancellable(() => this.promote(timed));
  }

  // ---- gates ------------------------------------------------------------------------------------

  private async isAdmitted(): Promise<boolean> {
    this.course.enter('build');
    const { checkModule } = this.evolver.quick;
    const verdict = await checkModule.executeWithOptions(this.course.told('module policy'), [
      { ...this.named(), foreign: true },
    ]);
    return this.take(moduleAnswer(verdict));
  }

  private sample() {
    this.course.enter('sample');
    const { configuration, settings } = this.input;
    return this.evolver.quick.sample.executeWithOptions(this.course.told('sample'), [
      { ...this.key, configuration, messages_min: settings.training_min },
    ]);
  }

  /** Right or wrong on training traffic, within its limits; how fast is told, and not judged. */
  private async measure(corpus: Corpus): Promise<BenchmarkVerdict> {
    this.course.enter('benchmark');
    const { configuration, incumbent, settings } = this.input;
    const { candidate: id, component } = this.named();
    const result = await this.evolver.long.benchmark.executeWithOptions(
      this.course.told('benchmark'),
      [
        {
          ...{ ...this.key, configuration, corpus, candidates: [{ id, component }], incumbent },
          ...{ seconds: settings.benchmark_seconds, promotion_ratio: settings.promotion_ratio },
          messages_max: MESSAGES_MAX,
        },
      ],
    );
    this.benchmark = result.evidence;
    const verdict = result.candidates[0] ?? { id, verdict: 'unmeasured', reason: 'no answer' };
    measured(this.candidate, verdict);
    const given = benchmarkAnswer(verdict, result.evidence.digest);
    this.take({ ...given, pass: 'ratio' in verdict });
    return verdict;
  }

  private async passesShadow(): Promise<boolean> {
    this.course.enter('shadow');
    const configuration = this.input.configuration.digest;
    const verdict = await shadowing.shadow.executeWithOptions(this.course.told('shadow'), [
      { ...this.named(), configuration, foreign: true },
    ]);
    return this.take(shadowAnswer(verdict));
  }

  private named() {
    const { component } = this.input.submitted;
    return { ...this.key, candidate: this.candidate.outcome.id, component };
  }

  /** Whether the gate lets it pass. */
  private take(given: GateAnswer): boolean {
    answer(this.candidate, given);
    this.course.show();
    return given.pass;
  }

  private stopped(): End {
    const { gate, verdict, reason } = this.candidate.outcome;
    const why = reason === null ? '' : `: ${reason}`;
    const outcome = outcomeWithoutPromotion([this.candidate]);
    return { outcome, detail: clip(`${gate} ${verdict}${why}`, 300) };
  }

  // ---- promotion --------------------------------------------------------------------------------

  private async promote(timed: Extract<BenchmarkVerdict, { ratio: number }>): Promise<End> {
    this.course.enter('sign');
    const { org, configuration, settings, submitted } = this.input;
    const { ratio, ci95 } = timed;
    const issued = await issueManifest({
      org,
      configuration: configuration.digest,
      life_ms: settings.manifest_life_ms,
      subject: {
        of: 'candidate',
        kind: 'promote',
        module: submitted.component,
        origin: {
          name: submitted.name,
          proof: { verdict: 'foreign' },
          benchmark: { evidence: this.benchmark?.digest ?? '', ratio, ci95 },
        },
      },
      proceed: ({ active }) => unchanged(active, this.input),
      signed: () => this.course.enter('publish'),
    });
    if (issued.verdict !== 'published') return this.unsigned(issued.verdict, issued.detail);
    return await this.confirm(issued.active);
  }

  private async confirm(active: m.ActiveModule): Promise<End> {
    this.course.enter('confirm');
    this.unconfirmed = active;
    const seconds = Math.max(this.input.settings.confirm_seconds, CONFIRM_SECONDS_MIN);
    const options = this.course.told(`wait for version ${active.version}`);
    const missed = await confirmSwap(this.key.org, active, seconds, options);
    if (missed !== null) return this.unsigned('refused', missed);
    this.unconfirmed = null;
    this.promoted = active;
    this.take(passAnswer('signature'));
    this.candidate.outcome.state = 'promoted';
    return { outcome: 'promoted', detail: null };
  }

  private unsigned(outcome: 'conflict' | 'refused', detail: string): End {
    this.take({ ...faultAnswer('signature', detail), verdict: outcome });
    return { outcome, detail: clip(detail, 300) };
  }

  // ---- the end, and what is shown ---------------------------------------------------------------

  private async conclude({ outcome, detail: found }: End): Promise<m.GenerationResult> {
    const { configuration } = this.input;
    const { promoted, unconfirmed, benchmark } = this;
    const candidates = close([this.candidate]);
    let detail = found;
    try {
      // The archive holds what can be a parent; of this it holds how the generation ended.
      const { conclude } = this.evolver.quick;
      await conclude.executeWithOptions(this.course.told(`conclude: ${outcome}`), [
        {
          ...{ ...this.key, configuration, outcome, detail, promoted },
          ...{ commit: null, answers: [], candidates: [] },
        },
      ]);
    } catch (error) {
      detail = clip(`${detail ?? outcome}; not in the archive: ${describeFailure(error)}`, 300);
    }
    this.course.ended(outcome);
    return {
      ...{ ...this.key, configuration: configuration.digest, outcome, detail, candidates },
      ...{ started_ms: this.started_ms, ended_ms: now(), inputs: null },
      ...{ promoted, unconfirmed, benchmark, unevolved: true, submitted: true },
    };
  }
}
