/**
 * The activities as workflows call them: one group a failure character, every attempt count
 * bounded.
 */
import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/types.ts';
import { CONTROL_QUEUE, LLM_QUEUE } from './messages.ts';

/** Also how fast a killed worker is noticed, so it is kept short where stages are long. */
const HEARTBEAT = '10 seconds';

/** Faults that no retry mends; `activities/types.ts` has the same names. */
const FATAL = ['MissingObject', 'NotAuthorised'];

/** Reads of NATS and of the shadow service: a restart of either takes seconds. */
export const reads = proxyActivities<Pick<Activities, 'captureStatus' | 'readActive'>>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '15 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '10 seconds',
    maximumAttempts: 8,
    nonRetryableErrorTypes: FATAL,
  },
});

export const signing = proxyActivities<Pick<Activities, 'sign'>>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '30 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumAttempts: 5,
    nonRetryableErrorTypes: [...FATAL, 'InvalidProfile', 'KeyRefused'],
  },
});

export const publishing = proxyActivities<Pick<Activities, 'publish'>>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '1 minute',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '30 seconds',
    maximumAttempts: 10,
    nonRetryableErrorTypes: FATAL,
  },
});

export const confirming = proxyActivities<Pick<Activities, 'confirm'>>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: HEARTBEAT,
  retry: { initialInterval: '1 second', maximumAttempts: 3, nonRetryableErrorTypes: FATAL },
});

export const shadowing = proxyActivities<Pick<Activities, 'shadow'>>({
  taskQueue: CONTROL_QUEUE,
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: HEARTBEAT,
  retry: { initialInterval: '2 seconds', maximumAttempts: 3, nonRetryableErrorTypes: FATAL },
});

type Quick = Pick<Activities, 'sample' | 'specialize' | 'checkSource' | 'checkModule'>;
type Archive = Pick<
  Activities,
  | 'restore'
  | 'plan'
  | 'admit'
  | 'readmit'
  | 'record'
  | 'commit'
  | 'conclude'
  | 'recordDemotion'
  | 'recordManifest'
>;
type Long = Pick<Activities, 'build' | 'benchmark' | 'observe' | 'challenge'>;

/** What runs on the host that keeps the organization's archive. */
export function evolverActivities(taskQueue: string) {
  // No heartbeat, so their time limit is also how fast a killed worker is noticed.
  const quick = proxyActivities<Quick & Archive>({
    taskQueue,
    startToCloseTimeout: '30 seconds',
    retry: {
      initialInterval: '1 second',
      backoffCoefficient: 2,
      maximumAttempts: 5,
      nonRetryableErrorTypes: [...FATAL, 'InvalidProfile', 'KitUnusable'],
    },
  });
  const long = proxyActivities<Long>({
    taskQueue,
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: HEARTBEAT,
    retry: {
      initialInterval: '1 second',
      maximumAttempts: 3,
      nonRetryableErrorTypes: [...FATAL, 'KitUnusable'],
    },
  });
  const proving = proxyActivities<Pick<Activities, 'prove'>>({
    taskQueue,
    startToCloseTimeout: '15 minutes',
    heartbeatTimeout: HEARTBEAT,
    retry: {
      initialInterval: '1 second',
      maximumAttempts: 2,
      nonRetryableErrorTypes: [...FATAL, 'KitUnusable', 'VerifierMissing'],
    },
  });
  return { quick, long, proving };
}

/** `mutate`: on the evolver host for the built-in search, on the shared queue for a model. */
export function mutating(taskQueue: string) {
  return proxyActivities<Pick<Activities, 'mutate'>>({
    taskQueue,
    // An exploration is many calls, each of minutes; its journal goes on where a worker ended.
    startToCloseTimeout: taskQueue === LLM_QUEUE ? '40 minutes' : '10 minutes',
    heartbeatTimeout: '30 seconds',
    retry: {
      initialInterval: '5 seconds',
      backoffCoefficient: 2,
      maximumInterval: '2 minutes',
      maximumAttempts: 6,
      nonRetryableErrorTypes: [...FATAL, 'LlmAuth', 'LlmBadRequest', 'LlmRefusal'],
    },
  });
}
