/** Starts a generation as a child of its organization, and waits for its result. */
import { TypedSearchAttributes } from '@temporalio/common';
import { executeChild, ParentClosePolicy } from '@temporalio/workflow';
import type { generation } from './generation.ts';
import * as m from './messages.ts';
import { clip } from './summary.ts';

const GENERATION_LIMIT = '2 hours';

export function runGeneration(input: m.GenerationInput): Promise<m.GenerationResult> {
  const id = m.generationId(input.org, input.generation, input.rerun);
  return executeChild<typeof generation>(m.WORKFLOW.generation, {
    args: [input],
    workflowId: id,
    taskQueue: m.CONTROL_QUEUE,
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    workflowExecutionTimeout: GENERATION_LIMIT,
    staticSummary: clip(`${input.org}: generation ${input.generation}`, 200),
    staticDetails: `Configuration \`${input.configuration.digest}\``,
    priority: { fairnessKey: input.org },
    typedSearchAttributes: new TypedSearchAttributes([
      { key: m.searchAttributes.orgId, value: input.org },
      { key: m.searchAttributes.generation, value: input.generation },
    ]),
  });
}
