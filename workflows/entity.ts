/** What an organization does: its handlers, the steps of its main loop, and what it shows. */
import {
  CancellationScope,
  condition,
  patched,
  setCurrentDetails,
  sleep,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { ManifestSubject } from '../activities/types.ts';
import { concludeLost, generationInput, runGeneration } from './child.ts';
import { now } from './clock.ts';
import { describeFailure } from './failure.ts';
import { holdAgainstFleet, lookAtTraffic } from './looks.ts';
import { issueManifest, published } from './manifest.ts';
import * as m from './messages.ts';
import {
  checkConfigured,
  checkRerunPossible,
  checkRollbackPossible,
  checkSubmitPossible,
} from './possible.ts';
import { evolverActivities, reads } from './proxies.ts';
import { lostResult, organizationMarkdown } from './report.ts';
import * as s from './state.ts';
import { clip } from './summary.ts';
import { checkBudget, checkEvolve, checkRerun, checkRollback, checkSubmit } from './validate.ts';

/** Pause after a fault that retries did not mend, before the entity tries again. */
const FAULT_PAUSE_MS = 10_000;
const RENEWAL_PAUSE_MS = 60_000;

export class Organization {
  state: s.OrganizationState;
  private readonly input: m.OrganizationInput;
  private readonly evolver: ReturnType<typeof evolverActivities>;
  private running: m.GenerationProgress | null = null;
  private scope: CancellationScope | null = null;
  private issuing = false;
  private readonly pending = new Map<string, Promise<unknown>>();
  private shown = '';

  constructor(input: m.OrganizationInput) {
    this.input = input;
    this.state = s.openState(input);
    this.evolver = evolverActivities(input.evolver_queue);
    // Runs that were begun before traffic was watched go on as they were recorded.
    if (patched('watch-traffic') && this.state.observe_at_ms === undefined) this.watch();
    this.show();
  }

  carry(): m.OrganizationInput {
    return { ...this.input, carried: this.state };
  }

  status(): m.OrganizationStatus {
    const { state } = this;
    return {
      org: state.org,
      stage: state.stage,
      paused: state.paused,
      paused_reason: state.paused_reason,
      settled_reason: state.settled_reason,
      configuration: state.configuration,
      captured: state.captured,
      generation: state.generation,
      running: this.running,
      queued: state.queue.map((item) => m.generationId(state.org, item.generation, item.rerun)),
      active: state.active,
      budget: state.budget,
      budget_used: s.budgetUsed(state, now()),
      evolution_started_ms: state.evolution_started_ms,
      first_promotion_ms: state.first_promotion_ms,
      outcomes: state.outcomes,
      candidates_total: state.candidates_total,
      rejected_total: state.rejected_total,
      last_error: state.last_error,
      ...(state.observed && { observed: state.observed }),
      ...(state.challenged && { challenged: state.challenged }),
      ...(state.submitted && { submitted: state.submitted }),
    };
  }

  // ---- updates and signals ----------------------------------------------------------------------

  configure(request: m.ConfigureRequest): Promise<m.ConfigureReply> {
    return this.once(request, async () => {
      const before = this.state.configuration?.digest;
      const { digest } = request.configuration;
      if (before === digest) return { digest, changed: false };
      // What runs was made for rules that no longer hold.
      this.cancelRunning();
      this.set(s.configure(this.state, request.configuration));
      return { digest, changed: true };
    });
  }

  evolve(request: m.EvolveRequest): Promise<m.EvolveReply> {
    return this.once(request, async () => {
      this.set(s.evolve(this.state, checkEvolve(request, this.state.budget)));
      return { next_generation: this.state.generation + 1, budget: this.state.budget };
    });
  }

  pause(request: m.PauseRequest): Promise<m.PauseReply> {
    return this.once(request, async () => {
      this.set(s.pause(this.state, request.reason ?? null));
      if (request.cancel_running === true) this.cancelRunning();
      return { paused: true };
    });
  }

  resume(request: m.RequestBase): Promise<m.PauseReply> {
    return this.once(request, async () => {
      this.set(s.resume(this.state));
      return { paused: false };
    });
  }

  rerun(request: m.RerunRequest): Promise<m.RerunReply> {
    return this.once(request, async () => {
      this.set(s.enqueueRerun(this.state, request));
      const item = this.state.queue.at(-1);
      const rerun = item?.rerun ?? 0;
      const workflow_id = m.generationId(this.state.org, request.generation, rerun);
      return { workflow_id, generation: request.generation, rerun };
    });
  }

  setBudget(request: m.BudgetRequest): Promise<m.BudgetReply> {
    return this.once(request, async () => {
      this.set(s.setBudget(this.state, checkBudget(request, this.state.budget)));
      return { budget: this.state.budget };
    });
  }

  rollback(request: m.RollbackRequest): Promise<m.RollbackReply> {
    return this.once(request, async () => {
      const target =
        request.to_baseline === true
          ? null
          : s.rollbackTarget(this.state, request.to_version ?? null);
      const why = request.reason === undefined ? 'rolled back' : `rolled back: ${request.reason}`;
      this.set(s.pause(this.state, clip(why, 300)));
      this.cancelRunning();
      const active = await this.issue(
        target === null
          ? { of: 'nothing', kind: 'tombstone' }
          : { of: 'earlier', kind: 'rollback', statement: target.statement },
      );
      return { version: active.version, kind: active.kind, module: active.module };
    });
  }

  /** It goes through the gates next; what it becomes is a generation's result. */
  submit(request: m.SubmitRequest): Promise<m.SubmitReply> {
    return this.once(request, async () => {
      const { component, name } = request;
      this.set({ ...this.state, submitted: { component, name } });
      const generation = this.state.generation + 1;
      return { generation, workflow_id: m.generationId(this.state.org, generation) };
    });
  }

  async demoted(demoted: m.ModuleDemoted): Promise<void> {
    const { org } = this.state;
    const serving = s.incumbent(this.state)?.module === demoted.module;
    this.set(s.demote(this.state, demoted));
    try {
      if (serving) await this.issue({ of: 'nothing', kind: 'tombstone' }, demoted.module);
      const { configuration, module } = demoted;
      const reason = clip(demoted.reason, 200);
      await this.evolver.quick.recordDemotion({ org, configuration, module, reason });
    } catch (error) {
      this.fault(error);
    }
    const again = this.state.settings.evolve_on_configure && this.state.configuration !== null;
    if (serving && again) this.set(s.evolve(this.state, this.state.budget));
  }

  fleetChanged({ version }: m.FleetChanged): void {
    this.set(s.fleetChanged(this.state, version));
  }

  progress(progress: m.GenerationProgress): void {
    if (progress.workflow_id !== s.runningId(this.state)) return;
    this.running = progress;
    this.show();
  }

  // ---- validators: synchronous, read-only
  // --------------------------------------------------------

  readonly checkEvolve = (request: m.EvolveRequest): void => {
    checkEvolve(request, this.state.budget);
    if (!this.answered(request)) checkConfigured(this.state);
  };

  readonly checkBudget = (request: m.BudgetRequest): void => {
    checkBudget(request, this.state.budget);
  };

  readonly checkRerun = (request: m.RerunRequest): void => {
    checkRerun(request);
    if (!this.answered(request)) checkRerunPossible(this.state, request);
  };

  readonly checkRollback = (request: m.RollbackRequest): void => {
    checkRollback(request);
    if (!this.answered(request)) checkRollbackPossible(this.state, request);
  };

  readonly checkSubmit = (request: m.SubmitRequest): void => {
    checkSubmit(request);
    if (!this.answered(request)) checkSubmitPossible(this.state);
  };

  private answered(request: m.RequestBase): boolean {
    const id = request.request_id;
    if (id === undefined) return false;
    return this.pending.has(id) || this.state.answers.some((answer) => answer.id === id);
  }

  // ---- steps of the main loop
  // --------------------------------------------------------------------

  /** A first run learns from archive and table what an earlier life of this organization left. */
  async restore(): Promise<void> {
    if (this.input.carried !== undefined) return;
    for (;;) {
      try {
        const { org } = this.state;
        const summary = 'newest generation of the archive';
        const { generation } = await this.evolver.quick.restore.executeWithOptions({ summary }, [
          { org },
        ]);
        this.set({ ...this.state, generation: Math.max(generation, this.state.generation) });
        await this.refresh();
        return;
      } catch (error) {
        this.fault(error);
        await sleep(FAULT_PAUSE_MS, { summary: 'restore again' });
      }
    }
  }

  async rest(until_ms: number | null, stop: () => boolean): Promise<void> {
    const before = this.state;
    const changed = () => this.state !== before || stop();
    if (until_ms === null) await condition(changed);
    else await condition(changed, Math.max(1, until_ms - now()));
  }

  /** Looks at the captured traffic until there is enough, at growing intervals. */
  async capture(stop: () => boolean): Promise<void> {
    const { settings, org } = this.state;
    let pause_ms = settings.capture_poll_ms;
    while (!stop() && s.nextStep(this.state, now()).step === 'capture') {
      const configuration = this.state.configuration?.digest ?? '';
      try {
        const status = await reads.captureStatus.executeWithOptions(
          { summary: 'captured messages' },
          [{ org, configuration }],
        );
        if (this.state.configuration?.digest !== configuration) continue;
        this.set(s.captured(this.state, status));
      } catch (error) {
        this.fault(error);
      }
      if (this.state.stage !== 'capturing') return;
      const before = this.state;
      await condition(() => this.state !== before || stop(), pause_ms);
      pause_ms = Math.min(settings.capture_poll_ms_max, Math.ceil(pause_ms * 1.5));
    }
  }

  async renew(): Promise<void> {
    const active = s.incumbent(this.state);
    if (active === null || active.kind === 'tombstone') return;
    try {
      await this.issue(
        { of: 'earlier', kind: active.kind, statement: active.statement },
        active.module,
      );
    } catch (error) {
      this.fault(error);
      const renew_not_before_ms = now() + RENEWAL_PAUSE_MS;
      this.set({ ...this.state, renew_not_before_ms });
    }
  }

  /** Looks at the traffic; what moved away starts a new evolution. */
  async observe(): Promise<void> {
    const before = this.state;
    this.watch();
    try {
      const seen = await lookAtTraffic(this.evolver, before);
      if (seen === null || !this.stillOf(before)) return;
      this.set(s.observed(this.state, seen));
    } catch (error) {
      this.fault(error);
    }
  }

  /** Holds the own module against the fleet's, and retires it when it is overtaken. */
  async challenge(): Promise<void> {
    const before = this.state;
    try {
      const seen = await holdAgainstFleet(this.evolver, before);
      if (seen === null) return;
      const module = s.incumbent(before)?.module ?? null;
      const same = this.stillOf(before) && s.incumbent(this.state)?.module === module;
      if (seen.verdict === 'overtaken' && same) await this.retire(module);
      this.set(s.challenged(this.state, seen));
    } catch (error) {
      this.fault(error);
      await sleep(FAULT_PAUSE_MS, { summary: 'hold it against the fleet’s module again' });
    }
  }

  private stillOf({ configuration }: s.OrganizationState): boolean {
    return this.state.configuration?.digest === configuration?.digest;
  }

  /** The fleet's module serves instead, and the search begins again against that. */
  private async retire(module: string | null): Promise<void> {
    await this.issue({ of: 'nothing', kind: 'tombstone' }, module);
    if (this.state.settings.evolve_on_configure) this.set(s.evolve(this.state, this.state.budget));
  }

  private watch(): void {
    const pause_ms = this.state.settings.observe_ms ?? m.OBSERVE_MS;
    this.state = { ...this.state, observe_at_ms: now() + pause_ms };
  }

  async generation(what: s.QueuedRerun): Promise<void> {
    try {
      await this.refresh();
    } catch (error) {
      this.fault(error);
      await sleep(FAULT_PAUSE_MS, { summary: 'read the active table again' });
      return;
    }
    // Requests may have come while the table was read.
    const step = s.nextStep(this.state, now());
    if (step.step !== 'generation' || step.what.generation !== what.generation) return;
    this.set(s.beginGeneration(this.state, step.what, now()));
    const result = await this.child(step.what);
    this.running = null;
    this.set(s.endGeneration(this.state, result));
    this.set(s.adoptActive(this.state, result.promoted));
    if (result.unconfirmed !== null) await this.takeBack(result.unconfirmed);
    // What a tenant brought stays until it says otherwise: the search would soon replace it.
    if (result.submitted && result.promoted) this.set(s.pause(this.state, 'an own module serves'));
    if (result.outcome !== 'failed') return;
    const before = this.state;
    const pause_ms = FAULT_PAUSE_MS * 2 ** Math.max(0, this.state.failures - 1);
    await condition(() => this.state !== before, pause_ms);
  }

  private async child(what: s.QueuedRerun): Promise<m.GenerationResult> {
    const input = generationInput(this.state, what);
    this.scope = new CancellationScope({ cancellable: true });
    try {
      return await this.scope.run(() => runGeneration(input));
    } catch (error) {
      const cancelled = this.scope.consideredCancelled;
      const lost = lostResult(input, now(), describeFailure(error), cancelled);
      return await concludeLost(this.evolver, input, lost).catch(() => lost);
    } finally {
      this.scope = null;
    }
  }

  /** No aggregator confirmed a manifest: what served before is published again. */
  private async takeBack(unconfirmed: m.ActiveModule): Promise<void> {
    const before = s.incumbent(this.state);
    this.set(s.adoptActive(this.state, unconfirmed));
    const module = unconfirmed.module ?? '';
    const { configuration } = unconfirmed;
    this.set(s.demote(this.state, { configuration, module, reason: 'not confirmed' }));
    try {
      const subject: ManifestSubject =
        before === null
          ? { of: 'nothing', kind: 'tombstone' }
          : { of: 'earlier', kind: 'rollback', statement: before.statement };
      await this.issue(subject, module);
    } catch (error) {
      this.fault(error);
    }
  }

  // ---- shared -----------------------------------------------------------------------------------

  /** Reads the active table: the truth about what was published last. */
  private async refresh(): Promise<void> {
    const { org } = this.state;
    const summary = 'active table';
    const reading = await reads.readActive.executeWithOptions({ summary }, [
      { org, configuration: null },
    ]);
    this.set(s.adoptActive(this.state, reading.active));
  }

  /**
   * Publishes a decision of the organization; with `over`, only while that module is the newest.
   */
  private async issue(subject: ManifestSubject, over?: string | null): Promise<m.ActiveModule> {
    await condition(() => !this.issuing);
    this.issuing = true;
    try {
      const { org, settings, configuration } = this.state;
      const issued = await issueManifest({
        org,
        configuration: configuration?.digest ?? '',
        life_ms: settings.manifest_life_ms,
        subject,
        proceed: ({ active }) => over === undefined || active?.module === over,
      });
      if (issued.verdict === 'conflict') this.set(s.adoptActive(this.state, issued.newest));
      const active = published(issued);
      this.set(s.adoptActive(this.state, active));
      // The table is the truth; the archive follows when it can.
      await this.evolver.quick.recordManifest({ org, active }).catch((error) => this.fault(error));
      return active;
    } catch (error) {
      this.fault(error);
      throw error;
    } finally {
      this.issuing = false;
    }
  }

  /** The same `request_id` gets the same answer, while the first is under way and afterwards. */
  private once<Reply>(request: m.RequestBase, act: () => Promise<Reply>): Promise<Reply> {
    const id = request.request_id;
    if (id === undefined) return act();
    const known = this.state.answers.find((answer) => answer.id === id);
    if (known !== undefined) return Promise.resolve(known.reply as Reply);
    const pending = this.pending.get(id);
    if (pending !== undefined) return pending as Promise<Reply>;
    const first = act()
      .then((reply) => {
        this.set(s.remember(this.state, id, reply));
        return reply;
      })
      .finally(() => this.pending.delete(id));
    this.pending.set(id, first);
    return first;
  }

  private cancelRunning(): void {
    this.scope?.cancel();
  }

  private fault(error: unknown): void {
    this.set({ ...this.state, last_error: describeFailure(error) });
  }

  private set(next: s.OrganizationState): void {
    this.state = next;
    this.show();
  }

  private show(): void {
    const { state } = this;
    setCurrentDetails(organizationMarkdown(this.status()));
    const stage = state.paused ? 'paused' : state.stage;
    const outcome = state.outcomes.at(-1)?.outcome ?? 'none';
    const version = state.active?.version ?? 0;
    const shown = JSON.stringify([stage, outcome, version, state.generation]);
    if (shown === this.shown) return;
    this.shown = shown;
    upsertSearchAttributes([
      { key: m.searchAttributes.orgId, value: state.org },
      { key: m.searchAttributes.stage, value: stage },
      { key: m.searchAttributes.outcome, value: outcome },
      { key: m.searchAttributes.activeVersion, value: version },
      { key: m.searchAttributes.generation, value: state.generation },
    ]);
  }
}
