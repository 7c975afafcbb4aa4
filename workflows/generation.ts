/**
 * One generation: a batch of candidates through the gates, and at most one promotion.
 *
 * The workflow always ends with a result. A gate that refuses a candidate is that candidate's
 * verdict; a stage that cannot be carried out is the outcome `failed`; both are told by the result,
 * the archive and the details shown in the Temporal UI.
 */
import { CancellationScope, isCancellation, patched } from '@temporalio/workflow';
import type {
  BuildVerdict,
  GateRecord,
  GenerationInputs,
  GenerationKey,
  Plan,
  Recorded,
} from '../activities/types.ts';
import {
  answer,
  benchmarkAnswer,
  buildAnswer,
  type Candidate,
  close,
  componentOf,
  faultAnswer,
  type GateAnswer,
  linkedOf,
  measured,
  moduleAnswer,
  open,
  openCandidate,
  outcomeWithoutPromotion,
  passAnswer,
  proofAnswer,
  proofOf,
  shadowAnswer,
  shadowOrder,
  siblingTwin,
  sourceAnswer,
} from './candidates.ts';
import { now } from './clock.ts';
import { Course } from './course.ts';
import { describeFailure } from './failure.ts';
import { type End, Preparation } from './inputs.ts';
import { isFleet } from './level.ts';
import { confirmSwap, issueManifest } from './manifest.ts';
import {
  type ActiveModule,
  type Gate,
  type GenerationInput,
  type GenerationOutcome,
  type GenerationResult,
  generationId,
  type Ref,
  type Spending,
} from './messages.ts';
import { evolverActivities, shadowing } from './proxies.ts';
import { clip } from './summary.ts';

export async function generation(input: GenerationInput): Promise<GenerationResult> {
  return await new Generation(input).run();
}

class Generation {
  private readonly input: GenerationInput;
  private readonly key: GenerationKey;
  private readonly evolver: ReturnType<typeof evolverActivities>;
  private readonly started_ms = now();
  private readonly course: Course;
  private candidates: Candidate[] = [];
  private answers: GateRecord[] = [];
  private inputs: Ref | null;
  private benchmark: Ref | null = null;
  private commit: string | null = null;
  private promoted: ActiveModule | null = null;
  private unconfirmed: ActiveModule | null = null;
  private readonly commitsLater = patched('commit-behind-shadow');
  private planned: Plan | null = null;
  private spent: Spending | null = null;

  constructor(input: GenerationInput) {
    this.input = input;
    this.inputs = input.inputs;
    this.key = { org: input.org, generation: input.generation, rerun: input.rerun };
    this.evolver = evolverActivities(input.evolver_queue);
    this.course = new Course(this.key, 'sample', () => this.candidates);
  }

  async run(): Promise<GenerationResult> {
    return await this.course.run(
      () => this.stages(),
      (end) => this.conclude(end),
    );
  }

  private async stages(): Promise<End> {
    const inputs = await this.prepare();
    if ('outcome' in inputs) return inputs;
    await this.buildAll(inputs);
    await this.prove();
    await this.measure(inputs);
    const recorded = await this.record(inputs);
    const winner = await this.shadow();
    const outcome = outcomeWithoutPromotion(this.candidates);
    const commit = recorded.commit ?? (await this.commitTree(inputs, winner, outcome));
    if (winner === null) return { outcome, detail: null };
    // From the signature on nothing stops half way: a manifest is published and told, or neither.
    return await CancellationScope.nonCancellable(() => this.promote(winner, commit));
  }

  // ---- inputs -----------------------------------------------------------------------------------

  private async prepare(): Promise<GenerationInputs | End> {
    const preparation = new Preparation(this.input, this.key, this.evolver, {
      enter: (stage) => this.course.enter(stage),
      line: (text) => this.course.line(text),
      stored: (inputs) => {
        this.inputs = inputs;
      },
      planned: (plan) => {
        this.planned = plan;
      },
      spent: (spending) => {
        this.spent = spending;
      },
      summary: (text) => this.course.told(text),
    });
    const inputs = await preparation.run();
    if ('outcome' in inputs) return inputs;
    this.candidates = inputs.candidates.map(openCandidate);
    this.course.line(`${inputs.messages} training messages`);
    return inputs;
  }

  // ---- gates ------------------------------------------------------------------------------------

  private async buildAll(inputs: GenerationInputs): Promise<void> {
    this.course.enter('build');
    const { spec } = inputs.specialization;
    for (const candidate of this.candidates) {
      const { id: name, index } = candidate.outcome;
      const novel = candidate.novel && this.key.rerun === 0;
      const extras = {
        ...(novel && { new_in: inputs.configuration }),
        ...(this.input.from === 'benchmark' && { recorded: this.first(index) }),
        ...(isFleet(this.key.org) && { corpus: inputs.corpus }),
      };
      const request = { ...this.key, candidate: name, source: candidate.source, spec, ...extras };
      const { quick, long } = this.evolver;
      await this.gate(candidate, 'source', async () => {
        const options = this.course.told(`source policy #${index}`);
        return sourceAnswer(await quick.checkSource.executeWithOptions(options, [request]));
      });
      await this.gate(candidate, 'build', async () => {
        const options = this.course.told(`build #${index}`);
        const built = await long.build.executeWithOptions(options, [request]);
        candidate.outcome.build_seconds = built.seconds;
        if (built.verdict === 'built') {
          candidate.component = built.component;
          candidate.linked = built.linked;
          candidate.outcome.module = built.component.digest;
        }
        return buildAnswer(this.withSiblings(candidate, built, novel));
      });
      await this.gate(candidate, 'module', async () => {
        const component = componentOf(candidate);
        const options = this.course.told(`module policy #${index}`);
        const module = { ...this.key, candidate: name, component };
        return moduleAnswer(await quick.checkModule.executeWithOptions(options, [module]));
      });
      this.course.show();
    }
  }

  /** The candidate of the first attempt in the same slot. */
  private first(slot: number): string {
    return `${generationId(this.key.org, this.key.generation)}/c${slot}`;
  }

  private withSiblings(candidate: Candidate, built: BuildVerdict, novel: boolean): BuildVerdict {
    if (!novel || built.verdict !== 'built' || built.twin !== undefined) return built;
    const twin = siblingTwin(this.candidates, candidate, built.component.digest);
    return twin === undefined ? built : { ...built, twin };
  }

  /** Asks one gate about an open candidate; a fault there is this candidate's verdict. */
  private async gate(
    candidate: Candidate,
    gate: Gate,
    ask: () => Promise<GateAnswer>,
  ): Promise<void> {
    if (candidate.outcome.state !== 'open') return;
    try {
      this.answers.push(answer(candidate, await ask()));
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.answers.push(answer(candidate, faultAnswer(gate, describeFailure(error))));
    }
  }

  /** Each candidate is answered for by the codec that it was linked with itself. */
  private async prove(): Promise<void> {
    const candidates = open(this.candidates);
    if (candidates.length === 0) return;
    this.course.enter('prove');
    const { prove } = this.evolver.proving;
    const options = this.course.told(`prove the codec of ${candidates.length}`);
    const proved = await prove.executeWithOptions(options, [
      {
        ...this.key,
        candidates: candidates.map((it) => ({
          id: it.outcome.id,
          component: componentOf(it),
          linked: linkedOf(it),
        })),
      },
    ]);
    for (const candidate of candidates) {
      const answered = proved.candidates.find(({ id }) => id === candidate.outcome.id);
      if (answered === undefined) {
        this.answers.push(answer(candidate, faultAnswer('proof', 'no answer')));
        continue;
      }
      const { proof } = answered;
      if (proof.verdict !== 'refused') candidate.proof = proof;
      this.answers.push(answer(candidate, proofAnswer(answered)));
    }
    const verdicts = new Set(proved.candidates.map(({ proof }) => proof.verdict));
    this.course.line(`proof of the codec: ${[...verdicts].join(', ')}`);
  }

  private async measure(inputs: GenerationInputs): Promise<void> {
    const candidates = open(this.candidates);
    if (candidates.length === 0) return;
    this.course.enter('benchmark');
    const { configuration, incumbent, settings } = this.input;
    const options = this.course.told(`benchmark of ${candidates.length}`);
    const result = await this.evolver.long.benchmark.executeWithOptions(options, [
      {
        ...this.key,
        configuration,
        corpus: inputs.corpus,
        candidates: candidates.map((it) => ({ id: it.outcome.id, component: componentOf(it) })),
        incumbent,
        seconds: settings.benchmark_seconds,
        promotion_ratio: settings.promotion_ratio,
        ...(settings.search && { quick_ratio: settings.search.quick_ratio }),
      },
    ]);
    this.benchmark = result.evidence;
    for (const verdict of result.candidates) {
      const candidate = candidates.find((it) => it.outcome.id === verdict.id);
      if (candidate === undefined) continue;
      measured(candidate, verdict);
      const given = benchmarkAnswer(verdict, result.evidence.digest);
      this.answers.push(answer(candidate, given));
    }
    this.course.line(`benchmark: ${result.seconds.toFixed(1)} s`);
  }

  private async record(inputs: GenerationInputs): Promise<Recorded> {
    this.course.enter('record');
    const { configuration } = this.input;
    const recorded = await this.evolver.quick.record.executeWithOptions(
      this.course.told('record'),
      [
        {
          ...this.key,
          configuration,
          spec: inputs.specialization.spec,
          at_ms: this.course.since_ms,
          ...(this.commitsLater && { commits_later: true }),
          answers: this.answers,
          candidates: this.candidates.map((candidate) => candidate.outcome),
        },
      ],
    );
    this.answers = [];
    if (recorded.commit !== null) this.committed(recorded.commit);
    return recorded;
  }

  /** Behind the shadow's answer: the tree holds only what passed. */
  private async commitTree(
    inputs: GenerationInputs,
    winner: Candidate | null,
    outcome: GenerationOutcome,
  ): Promise<string> {
    const { spec, seed } = inputs.specialization;
    const { commit } = await this.evolver.quick.commit.executeWithOptions(
      this.course.told('commit'),
      [
        {
          ...{ ...this.key, configuration: this.input.configuration, spec, seed },
          ...{ at_ms: this.course.since_ms, winner: winner?.outcome.id ?? null },
          outcome: winner === null ? outcome : 'passed',
          candidates: this.candidates.map((candidate) => candidate.outcome),
        },
      ],
    );
    this.committed(commit);
    return commit;
  }

  private committed(commit: string): void {
    this.commit = commit;
    this.course.line(`commit ${commit}`);
  }

  /** Best first, at most as many questions as allowed; the first that passes wins. */
  private async shadow(): Promise<Candidate | null> {
    const { settings } = this.input;
    const order = shadowOrder(this.candidates, settings.promotion_ratio);
    if (order.length === 0) return null;
    this.course.enter('shadow');
    for (const candidate of order.slice(0, settings.questions)) {
      await this.gate(candidate, 'shadow', async () => shadowAnswer(await this.ask(candidate)));
      this.course.show();
      if (candidate.outcome.state === 'open') return candidate;
      // Too little held-back traffic is so for every candidate.
      if (candidate.outcome.verdict === 'insufficient') return null;
    }
    return null;
  }

  private ask(candidate: Candidate) {
    const { id, index } = candidate.outcome;
    const request = {
      ...this.key,
      configuration: this.input.configuration.digest,
      candidate: id,
      component: componentOf(candidate),
    };
    return shadowing.shadow.executeWithOptions(this.course.told(`shadow #${index}`), [request]);
  }

  // ---- promotion --------------------------------------------------------------------------------

  private async promote(winner: Candidate, commit: string): Promise<End> {
    this.course.enter('sign');
    const { org, configuration, settings } = this.input;
    const { outcome } = winner;
    const issued = await issueManifest({
      org,
      configuration: configuration.digest,
      life_ms: settings.manifest_life_ms,
      subject: {
        of: 'candidate',
        kind: 'promote',
        module: componentOf(winner),
        origin: {
          commit,
          mutator: outcome.mutator,
          operator: outcome.operator,
          prompt: winner.prompt,
          model: winner.model,
          linked: linkedOf(winner),
          proof: proofOf(winner),
          benchmark: {
            evidence: this.benchmark?.digest ?? '',
            ratio: outcome.ratio ?? 0,
            ci95: outcome.ci95 ?? [0, 0],
          },
        },
      },
      proceed: ({ active }) => unchanged(active, this.input),
      signed: () => this.course.enter('publish'),
    });
    if (issued.verdict === 'conflict') return this.stopped(winner, 'conflict', issued.detail);
    if (issued.verdict === 'refused') return this.stopped(winner, 'refused', issued.detail);
    return await this.confirm(winner, issued.active);
  }

  private async confirm(winner: Candidate, active: ActiveModule): Promise<End> {
    this.course.enter('confirm');
    this.unconfirmed = active;
    const { version } = active;
    const options = this.course.told(`wait for version ${version}`);
    const { org, settings } = this.input;
    const missed = await confirmSwap(org, active, settings.confirm_seconds, options);
    if (missed !== null) return this.stopped(winner, 'refused', missed);
    this.unconfirmed = null;
    this.promoted = active;
    this.answers.push(answer(winner, passAnswer('signature')));
    winner.outcome.state = 'promoted';
    this.course.line(`version ${version} serves`);
    return { outcome: 'promoted', detail: null };
  }

  private stopped(winner: Candidate, outcome: 'conflict' | 'refused', detail: string): End {
    const given = { ...faultAnswer('signature', detail), verdict: outcome };
    this.answers.push(answer(winner, given));
    return { outcome, detail: clip(detail, 300) };
  }

  // ---- the end, and what is shown ---------------------------------------------------------------

  private async conclude(end: End): Promise<GenerationResult> {
    const candidates = close(this.candidates);
    const { configuration } = this.input;
    const { outcome, promoted } = { outcome: end.outcome, promoted: this.promoted };
    let detail = end.detail;
    try {
      const { conclude } = this.evolver.quick;
      const concluded = await conclude.executeWithOptions(
        this.course.told(`conclude: ${outcome}`),
        [
          {
            ...{ ...this.key, configuration, outcome, detail, commit: this.commit },
            ...{ answers: this.answers, candidates, promoted },
          },
        ],
      );
      const evaluations = this.spent?.evaluations ?? 0;
      if (concluded?.spent) this.spent = { ...concluded.spent, evaluations };
    } catch (error) {
      detail = clip(`${detail ?? outcome}; not in the archive: ${describeFailure(error)}`, 300);
    }
    this.course.line(detail === null ? outcome : `${outcome}: ${detail}`);
    this.course.ended(outcome);
    return {
      ...this.key,
      configuration: configuration.digest,
      outcome,
      detail,
      started_ms: this.started_ms,
      ended_ms: now(),
      candidates,
      promoted,
      unconfirmed: this.unconfirmed,
      inputs: this.inputs,
      benchmark: this.benchmark,
      ...(this.planned?.unevolved && { unevolved: true }),
      ...(this.planned?.growing && { growing: true }),
      ...(this.spent && { spent: this.spent }),
    };
  }
}

/**
 * The comparison holds only against what served when the generation began: a renewal of the
 * incumbent changes nothing, but a rollback, a tombstone or another promotion is a decision that
 * this generation must not undo.
 */
export function unchanged(active: ActiveModule | null, input: GenerationInput): boolean {
  if (active === null || active.version <= input.active_version) return true;
  const same = active.module === input.incumbent?.module;
  return active.kind === 'promote' && same && active.configuration === input.configuration.digest;
}
