/**
 * The course of a generation, whatever its candidates are: the stage that it is in, what the
 * Temporal UI and its organization are told of it, and that it always ends with a result.
 */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { GenerationKey } from '../activities/types.ts';
import type { Candidate } from './candidates.ts';
import { now } from './clock.ts';
import { describeFailure } from './failure.ts';
import type { End } from './inputs.ts';
import * as m from './messages.ts';
import { clip, progressMarkdown } from './summary.ts';

export class Course {
  private readonly key: GenerationKey;
  private readonly candidates: () => readonly Candidate[];
  private readonly lines: string[] = [];
  private current: m.GenerationStage;
  private entered_ms = now();

  constructor(key: GenerationKey, first: m.GenerationStage, candidates: Course['candidates']) {
    this.key = key;
    this.current = first;
    this.candidates = candidates;
  }

  /** When the stage began. */
  get since_ms(): number {
    return this.entered_ms;
  }

  /** Concludes whatever became of the stages; not even a cancellation stops that. */
  async run(
    stages: () => Promise<End>,
    conclude: (end: End) => Promise<m.GenerationResult>,
  ): Promise<m.GenerationResult> {
    const end = await stages().catch((error: unknown): End => {
      if (isCancellation(error)) return { outcome: 'cancelled', detail: `during ${this.current}` };
      return { outcome: 'failed', detail: describeFailure(error) };
    });
    return await CancellationScope.nonCancellable(() => conclude(end));
  }

  enter(stage: m.GenerationStage): void {
    this.current = stage;
    this.entered_ms = now();
    upsertSearchAttributes([{ key: m.searchAttributes.stage, value: stage }]);
    this.show();
  }

  ended(outcome: m.GenerationOutcome): void {
    this.enter('done');
    upsertSearchAttributes([{ key: m.searchAttributes.outcome, value: outcome }]);
  }

  /** A line of the details in the Temporal UI, from the next time that they are shown. */
  line(text: string): void {
    this.lines.push(text);
  }

  /** Details for the Temporal UI, and the same for the organization's status. */
  show(): void {
    const { org, generation, rerun } = this.key;
    const progress: m.GenerationProgress = {
      ...{ generation, rerun, workflow_id: m.generationId(org, generation, rerun) },
      ...{ stage: this.current, since_ms: this.entered_ms },
      candidates: this.candidates().map(({ outcome }) => ({ ...outcome })),
    };
    setCurrentDetails(progressMarkdown(progress, this.lines));
    const { parent } = workflowInfo();
    if (parent === undefined) return;
    // The organization may be gone; a generation goes on without it.
    getExternalWorkflowHandle(parent.workflowId)
      .signal(m.generationProgressSignal, progress)
      .catch(() => undefined);
  }

  /** The options of an activity, as its summary in the Temporal UI says it. */
  told(text: string): { summary: string } {
    return { summary: clip(`gen ${this.key.generation} · ${text}`, 200) };
  }
}
