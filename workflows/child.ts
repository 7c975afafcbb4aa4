/** Starts a generation as a child of its organization, and waits for its result. */
import { TypedSearchAttributes } from '@temporalio/common';
import { executeChild, ParentClosePolicy } from '@temporalio/workflow';
import type { generation } from './generation.ts';
import { FLEET_PRIORITY, isFleet } from './level.ts';
import * as m from './messages.ts';
import type { evolverActivities } from './proxies.ts';
import * as s from './state.ts';
import { clip } from './summary.ts';

const GENERATION_LIMIT = '2 hours';

export function generationInput(
  state: s.OrganizationState,
  what: s.QueuedRerun,
): m.GenerationInput {
  if (state.configuration === null) throw new s.StateError('a generation without configuration');
  const { allowance, candidates } = s.remaining(state);
  return {
    schema: m.WIRE_SCHEMA,
    org: state.org,
    generation: what.generation,
    rerun: what.rerun,
    configuration: state.configuration,
    incumbent: s.incumbent(state),
    active_version: state.active?.version ?? 0,
    evolver_queue: state.evolver_queue,
    settings: { ...state.settings, candidates },
    inputs: what.inputs,
    allowance,
    ...(what.from && { from: what.from }),
    ...(what.answers && { answers: what.answers }),
    ...(what.submitted && { submitted: what.submitted }),
  };
}

export function runGeneration(input: m.GenerationInput): Promise<m.GenerationResult> {
  const id = m.generationId(input.org, input.generation, input.rerun);
  const type = input.submitted === undefined ? 'generation' : 'submission';
  return executeChild<typeof generation>(m.WORKFLOW[type], {
    args: [input],
    workflowId: id,
    taskQueue: m.CONTROL_QUEUE,
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    workflowExecutionTimeout: GENERATION_LIMIT,
    staticSummary: clip(`${input.org}: ${type} ${input.generation}`, 200),
    staticDetails: `Configuration \`${input.configuration.digest}\``,
    priority: {
      fairnessKey: input.org,
      ...(isFleet(input.org) && { priorityKey: FLEET_PRIORITY }),
    },
    typedSearchAttributes: new TypedSearchAttributes([
      { key: m.searchAttributes.orgId, value: input.org },
      { key: m.searchAttributes.generation, value: input.generation },
    ]),
  });
}

type Evolver = ReturnType<typeof evolverActivities>;

/** The end of a generation that could not tell its own is recorded for it, with what it spent. */
export async function concludeLost(
  { quick }: Evolver,
  { org, generation, rerun, configuration }: m.GenerationInput,
  result: m.GenerationResult,
): Promise<m.GenerationResult> {
  const { outcome, detail, candidates, promoted } = result;
  const options = { summary: `gen ${generation} · lost` };
  const concluded = await quick.conclude.executeWithOptions(options, [
    {
      ...{ org, generation, rerun, configuration, outcome, detail, candidates, promoted },
      ...{ commit: null, answers: [], lost: true },
    },
  ]);
  if (!concluded?.spent) return result;
  return { ...result, spent: { ...concluded.spent, evaluations: 0 } };
}
