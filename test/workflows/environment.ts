/** A real Temporal development server and the bundle of the workflows, once a test file. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Runtime,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import type { Activities } from '../../activities/types.ts';
import type { generation } from '../../workflows/generation.ts';
import {
  CONTROL_QUEUE,
  type ConfigurationRef,
  DEFAULT_BUDGET,
  DEFAULT_SETTINGS,
  type EvolutionSettings,
  type GenerationInput,
  type GenerationResult,
  generationId,
  LLM_QUEUE,
  type OrganizationInput,
  searchAttributes,
  WIRE_SCHEMA,
  WORKFLOW,
} from '../../workflows/messages.ts';

export const EVOLVER_QUEUE = 'evolver-test';
const STARTS_MAX = 3;

export function temporalBinary(): string {
  const given = process.env.RATCHET_TEMPORAL;
  if (given) return given;
  const cache = process.env.RATCHET_CACHE || join(cacheHome(), 'ratchet');
  const path = join(cache, 'bin', 'temporal-v1.5.1');
  if (!existsSync(path)) throw new Error(`no Temporal binary at ${path}; set RATCHET_TEMPORAL`);
  return path;
}

function cacheHome(): string {
  return process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
}

export interface Environment {
  temporal: TestWorkflowEnvironment;
  bundle: WorkflowBundleWithSourceMap;
}

export async function startEnvironment(): Promise<Environment> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const bundling = bundleWorkflowCode({
    workflowsPath: new URL('../../workflows/index.ts', import.meta.url).pathname,
    logger: new DefaultLogger('ERROR'),
  });
  const temporal = await startServer();
  return { temporal, bundle: await bundling };
}

/** On a busy machine the server may take longer to answer than the SDK waits. */
async function startServer(): Promise<TestWorkflowEnvironment> {
  for (let left = STARTS_MAX - 1; left > 0; left--) {
    const started = await createServer().catch((error: unknown) => {
      process.stderr.write(`# Temporal is started again: ${error}\n`);
      return null;
    });
    if (started !== null) return started;
  }
  return await createServer();
}

function createServer(): Promise<TestWorkflowEnvironment> {
  return TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: temporalBinary() },
      ip: '127.0.0.1',
      searchAttributes: Object.values(searchAttributes),
      log: { format: 'json', level: 'error' },
    },
  });
}

/** Runs workers for all queues while `run` runs. */
export async function withWorkers<T>(
  environment: Environment,
  activities: Activities,
  run: () => Promise<T>,
  options: { maxCachedWorkflows?: number; heartbeatMs?: number } = {},
): Promise<T> {
  const { nativeConnection: connection, namespace } = environment.temporal;
  const common = { connection, namespace: namespace ?? 'default', activities };
  const control = await Worker.create({
    ...common,
    taskQueue: CONTROL_QUEUE,
    workflowBundle: environment.bundle,
    shutdownGraceTime: '1 second',
    maxCachedWorkflows: options.maxCachedWorkflows ?? 100,
  });
  const evolver = await Worker.create({
    ...common,
    taskQueue: EVOLVER_QUEUE,
    maxConcurrentActivityTaskExecutions: 1,
    shutdownGraceTime: '1 second',
  });
  const models = await Worker.create({
    ...common,
    taskQueue: LLM_QUEUE,
    shutdownGraceTime: '1 second',
  });
  return await models.runUntil(evolver.runUntil(control.runUntil(run())));
}

export function configuration(seed = 'a'): ConfigurationRef {
  const digest = Buffer.from(seed).toString('hex').padEnd(64, '0').slice(0, 64);
  const blob = { digest, size: 10, mediaType: 'application/octet-stream' };
  return { digest, blob, rules: 3, effective_from_ms: 1_000 };
}

export function settings(overrides: Partial<EvolutionSettings> = {}): EvolutionSettings {
  const quick = { capture_poll_ms: 50, capture_poll_ms_max: 100, confirm_seconds: 1 };
  return { ...DEFAULT_SETTINGS, candidates: 2, ...quick, ...overrides };
}

export function generationInput(
  org: string,
  overrides: Partial<GenerationInput> = {},
): GenerationInput {
  return {
    ...{ schema: WIRE_SCHEMA, org, generation: 1, rerun: 0, configuration: configuration() },
    ...{ incumbent: null, active_version: 0, evolver_queue: EVOLVER_QUEUE },
    ...{ settings: settings(), inputs: null },
    ...overrides,
  };
}

export async function runGeneration(
  environment: Environment,
  fake: { activities: Activities },
  given: GenerationInput,
  options: { maxCachedWorkflows?: number } = {},
): Promise<GenerationResult> {
  const { client } = environment.temporal;
  const execute = () =>
    client.workflow.execute<typeof generation>(WORKFLOW.generation, {
      workflowId: generationId(given.org, given.generation, given.rerun),
      taskQueue: CONTROL_QUEUE,
      args: [given],
    });
  return await withWorkers(environment, fake.activities, execute, options);
}

export function organizationInput(
  org: string,
  overrides: Partial<OrganizationInput> = {},
): OrganizationInput {
  return {
    schema: WIRE_SCHEMA,
    org,
    evolver_queue: EVOLVER_QUEUE,
    settings: settings(),
    budget: { ...DEFAULT_BUDGET, generations: 1 },
    ...overrides,
  };
}
