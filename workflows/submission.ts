/**
 * A generation whose one candidate a tenant brought, as a component: it is not built here, its
 * codec is not proven and it need not be faster than what serves; every other gate is that of all
 * modules. Like any generation it always ends with a result.
 */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
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
  shadowAnswer,
} from './candidates.ts';
import { now } from './clock.ts';
import { describeFailure } from './failure.ts';
import { unchanged } from './generation.ts';
import type { End } from './inputs.ts';
import { issueManifest } from './manifest.ts';
import * as m from './messages.ts';
import { confirming, evolverActivities, shadowing } from './proxies.ts';
import { clip, progressMarkdown } from './summary.ts';

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
  private stage: m.GenerationStage = 'build';
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
  }

  async run(): Promise<m.GenerationResult> {
    const end = await this.stages().catch((error: unknown): End => {
      if (isCancellation(error)) return { outcome: 'cancelled', detail: `during ${this.stage}` };
      return { outcome: 'failed', detail: describeFailure(error) };
    });
    return await CancellationScope.nonCancellable(() => this.conclude(end));
  }

  private async stages(): Promise<End> {
    if (!(await this.isAdmitted())) return this.stopped();
    const sample = await this.sample();
    if (sample.verdict === 'insufficient') {
      return { outcome: 'insufficient', detail: `${sample.messages} training messages` };
    }
    // Nobody proves it; the manifest says so, and aggregators ask their own policy.
    this.take({ ...faultAnswer('proof', ''), pass: true, verdict: 'foreign', reason: null });
    const timed = await this.measure(sample.corpus);
    if (!('ratio' in timed) || !(await this.passesShadow())) return this.stopped();
    // From the signature on nothing stops half way: a manifest is published and told, or neither.
    return await CancellationScope.nonCancellable(() => this.promote(timed));
  }

  // ---- gates ------------------------------------------------------------------------------------

  private async isAdmitted(): Promise<boolean> {
    this.enter('build');
    const { checkModule } = this.evolver.quick;
    const verdict = await checkModule.executeWithOptions(this.told('module policy'), [
      { ...this.named(), foreign: true },
    ]);
    return this.take(moduleAnswer(verdict));
  }

  private sample() {
    this.enter('sample');
    const { configuration, settings } = this.input;
    return this.evolver.quick.sample.executeWithOptions(this.told('sample'), [
      { ...this.key, configuration, messages_min: settings.training_min },
    ]);
  }

  /** Right or wrong on training traffic, within its limits; how fast is told, and not judged. */
  private async measure(corpus: Corpus): Promise<BenchmarkVerdict> {
    this.enter('benchmark');
    const { configuration, incumbent, settings } = this.input;
    const { candidate: id, component } = this.named();
    const result = await this.evolver.long.benchmark.executeWithOptions(this.told('benchmark'), [
      {
        ...{ ...this.key, configuration, corpus, candidates: [{ id, component }], incumbent },
        ...{ seconds: settings.benchmark_seconds, promotion_ratio: settings.promotion_ratio },
        messages_max: MESSAGES_MAX,
      },
    ]);
    this.benchmark = result.evidence;
    const verdict = result.candidates[0] ?? { id, verdict: 'unmeasured', reason: 'no answer' };
    measured(this.candidate, verdict);
    const given = benchmarkAnswer(verdict, result.evidence.digest);
    this.take({ ...given, pass: 'ratio' in verdict });
    return verdict;
  }

  private async passesShadow(): Promise<boolean> {
    this.enter('shadow');
    const configuration = this.input.configuration.digest;
    const verdict = await shadowing.shadow.executeWithOptions(this.told('shadow'), [
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
    this.show();
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
    this.enter('sign');
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
      signed: () => this.enter('publish'),
    });
    if (issued.verdict !== 'published') return this.unsigned(issued.verdict, issued.detail);
    return await this.confirm(issued.active);
  }

  private async confirm(active: m.ActiveModule): Promise<End> {
    this.enter('confirm');
    this.unconfirmed = active;
    const { version, kind, configuration, issued_at_ms: since_ms } = active;
    const seconds = Math.max(this.input.settings.confirm_seconds, CONFIRM_SECONDS_MIN);
    const options = this.told(`wait for version ${version}`);
    const confirmed = await confirming.confirm.executeWithOptions(options, [
      { org: this.key.org, configuration, version, kind, since_ms, seconds },
    ]);
    if (confirmed.verdict !== 'swapped') {
      const detail = confirmed.verdict === 'refused' ? confirmed.reason : `no swap in ${seconds} s`;
      return this.unsigned('refused', detail);
    }
    this.unconfirmed = null;
    this.promoted = active;
    this.take({ ...faultAnswer('signature', ''), pass: true, verdict: 'pass', reason: null });
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
      await conclude.executeWithOptions(this.told(`conclude: ${outcome}`), [
        {
          ...{ ...this.key, configuration, outcome, detail, promoted },
          ...{ commit: null, answers: [], candidates: [] },
        },
      ]);
    } catch (error) {
      detail = clip(`${detail ?? outcome}; not in the archive: ${describeFailure(error)}`, 300);
    }
    this.enter('done');
    upsertSearchAttributes([{ key: m.searchAttributes.outcome, value: outcome }]);
    return {
      ...{ ...this.key, configuration: configuration.digest, outcome, detail, candidates },
      ...{ started_ms: this.started_ms, ended_ms: now(), inputs: null },
      ...{ promoted, unconfirmed, benchmark, unevolved: true, submitted: true },
    };
  }

  private enter(stage: m.GenerationStage): void {
    this.stage = stage;
    upsertSearchAttributes([{ key: m.searchAttributes.stage, value: stage }]);
    this.show();
  }

  /** Details for the Temporal UI, and the same for the organization's status. */
  private show(): void {
    const { org, generation, rerun } = this.key;
    const progress: m.GenerationProgress = {
      ...{ generation, rerun, workflow_id: m.generationId(org, generation, rerun) },
      ...{ stage: this.stage, since_ms: now(), candidates: [{ ...this.candidate.outcome }] },
    };
    setCurrentDetails(progressMarkdown(progress, []));
    const { parent } = workflowInfo();
    if (parent === undefined) return;
    // The organization may be gone; a generation goes on without it.
    getExternalWorkflowHandle(parent.workflowId)
      .signal(m.generationProgressSignal, progress)
      .catch(() => undefined);
  }

  private told(text: string): { summary: string } {
    return { summary: clip(`gen ${this.key.generation} · ${text}`, 200) };
  }
}
