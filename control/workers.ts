/**
 * The Temporal workers of a control plane: workflows and light activities on `control`, proposals
 * of models on `llm`, builds, benchmarks and the archive on this host's queue, one at a time. Also
 * starts the fleet, and forwards what aggregators tell on NATS to organizations and fleet.
 */
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/index.ts';
import type { Activities } from '../activities/types.ts';
import { CONTROL_QUEUE, evolverQueue, LLM_QUEUE } from '../workflows/messages.ts';
import type { Settings } from './config.ts';
import { evolutionDefaults } from './evolution.ts';
import { connectTemporal, temporalOptions } from './temporal.ts';
import { workflowBundle } from './workers/bundle.ts';
import { forwardDemotions } from './workers/demotions.ts';
import { openDeps, type WorkerDeps } from './workers/deps.ts';
import { countEvolving, forwardFleetSwaps, startFleet } from './workers/fleet.ts';
import { installRuntime } from './workers/runtime.ts';

/**
 * Both bounds are of memory: a cached workflow holds its history's state, a slot its activity's.
 */
const CACHED_WORKFLOWS_MAX = 200;
const CONTROL_ACTIVITIES_MAX = 50;
const LLM_ACTIVITIES_MAX = 8;

export interface RunningWorkers {
  /** Takes no new work, lets what is under way end for a while, then cancels it. */
  shutdown(): Promise<void>;
  /** Settles when a worker ends without having been asked to: a fault. */
  ended: Promise<void>;
}

export async function startWorkers(
  settings: Settings,
  overrides: Partial<WorkerDeps> = {},
): Promise<RunningWorkers> {
  installRuntime(settings.logLevel);
  const workflowsPath = new URL('../workflows/index.ts', import.meta.url).pathname;
  const bundle = await workflowBundle(workflowsPath, settings.cache);
  const client = await connectTemporal(settings.temporal);
  const evolving = () => countEvolving(client);
  const deps = await openDeps(settings, { evolving, ...overrides });
  const options = await temporalOptions(settings.temporal);
  const connection = await NativeConnection.connect(options);
  const activities = createActivities(deps);
  const common = { connection, namespace: settings.temporal.namespace };
  const workers = await Promise.all(
    workerOptions(activities, bundle, settings.host).map((each) =>
      Worker.create({ ...common, ...each }),
    ),
  );
  const forwarding = await Promise.all([
    forwardDemotions(deps.nats, client),
    forwardFleetSwaps(deps.nats, client, deps.configurations),
  ]);
  await startFleet(client, settings.host, evolutionDefaults(settings.evolution).fleet);
  const runs = workers.map((worker) => worker.run());
  const stopped = Promise.all(runs).then(() => undefined);
  const shutdown = async () => {
    await Promise.all(forwarding.map((each) => each.close()));
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(runs);
    await Promise.allSettled([connection.close(), client.connection.close(), deps.close()]);
  };
  return { shutdown, ended: Promise.race([stopped, ...forwarding.map(({ ended }) => ended)]) };
}

type QueueOptions = Omit<WorkerOptions, 'connection' | 'namespace'>;

function workerOptions(
  activities: Activities,
  workflowCode: { codePath: string },
  host: string,
): QueueOptions[] {
  const drain = { shutdownGraceTime: '5 seconds', shutdownForceTime: '12 seconds' } as const;
  return [
    {
      ...drain,
      taskQueue: CONTROL_QUEUE,
      workflowBundle: workflowCode,
      activities,
      maxCachedWorkflows: CACHED_WORKFLOWS_MAX,
      maxConcurrentActivityTaskExecutions: CONTROL_ACTIVITIES_MAX,
    },
    {
      ...drain,
      taskQueue: LLM_QUEUE,
      activities: { mutate: activities.mutate },
      maxConcurrentActivityTaskExecutions: LLM_ACTIVITIES_MAX,
    },
    {
      ...drain,
      taskQueue: evolverQueue(host),
      activities,
      // One at a time: builds would distort timings, and an archive has one writer.
      maxConcurrentActivityTaskExecutions: 1,
    },
  ];
}
