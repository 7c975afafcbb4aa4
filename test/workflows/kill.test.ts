/**
 * A worker killed by SIGKILL: the generation ends all the same, and nothing that had finished runs
 * twice.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { StageRecords } from '../../activities/stages.ts';
import type { generation } from '../../workflows/generation.ts';
import {
  CONTROL_QUEUE,
  type GenerationInput,
  WIRE_SCHEMA,
  WORKFLOW,
} from '../../workflows/messages.ts';
import { configuration, EVOLVER_QUEUE, settings, startEnvironment } from './environment.ts';

let environment: Awaited<ReturnType<typeof startEnvironment>>;
let directory = '';
let bundle = '';
before(async () => {
  environment = await startEnvironment();
  directory = await mkdtemp(join(tmpdir(), 'ratchet-kill-'));
  bundle = join(directory, 'workflows.js');
  await writeFile(bundle, environment.bundle.code);
});
after(async () => {
  await environment.temporal.teardown();
  await rm(directory, { recursive: true });
});

const program = new URL('worker-process.ts', import.meta.url).pathname;

function startWorker(folder: string, hangAt: string): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', program], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      TEMPORAL: environment.temporal.address,
      BUNDLE: bundle,
      DIRECTORY: folder,
      HANG_AT: hangAt,
    },
  });
}

async function stopped(worker: ChildProcess): Promise<void> {
  if (worker.exitCode === null && worker.signalCode === null) {
    await new Promise((done) => worker.once('exit', done));
  }
}

function input(org: string): GenerationInput {
  return {
    ...{ schema: WIRE_SCHEMA, org, generation: 1, rerun: 0, configuration: configuration() },
    ...{ incumbent: null, active_version: 0, evolver_queue: EVOLVER_QUEUE },
    ...{ settings: settings(), inputs: null },
  };
}

interface Case {
  hangAt: (org: string) => string;
  /** Stages of the killed worker that began twice. */
  twice: (org: string) => string[];
}

const cases: Record<string, Case> = {
  'during-a-build': {
    hangAt: (org) => `before:${org}/gen/1/c1/build`,
    twice: (org) => [`${org}/gen/1/c1/build`],
  },
  'after-a-build-before-its-report': {
    hangAt: (org) => `after:${org}/gen/1/c0/build`,
    twice: () => [],
  },
  'during-the-shadow': {
    hangAt: (org) => `before:${org}/gen/1/c1/shadow`,
    twice: (org) => [`${org}/gen/1/c1/shadow`],
  },
};

async function killed(org: string, { hangAt, twice }: Case): Promise<void> {
  const folder = join(directory, org);
  const stages = new StageRecords(join(folder, 'stages'));
  await mkdir(folder);
  const first = startWorker(folder, hangAt(org));
  const handle = await environment.temporal.client.workflow.start<typeof generation>(
    WORKFLOW.generation,
    { workflowId: `${org}/gen/1`, taskQueue: CONTROL_QUEUE, args: [input(org)] },
  );
  for (let turn = 0; !existsSync(join(folder, 'hanging')); turn++) {
    assert.ok(turn < 600, 'the stage was never reached');
    await wait(100);
  }
  first.kill('SIGKILL');
  await stopped(first);
  const second = startWorker(folder, hangAt(org));
  try {
    assert.equal((await handle.result()).outcome, 'promoted');
  } finally {
    second.kill('SIGKILL');
    await stopped(second);
  }
  const keys = [
    ...[`${org}/sample`, `${org}/gen/1/c0/build`, `${org}/gen/1/c1/build`],
    ...[`${org}/benchmark`, `${org}/gen/1/c1/shadow`, `${org}/publish`],
  ];
  for (const key of keys) {
    const record = await stages.read(key);
    const begun = twice(org).includes(key) ? 2 : 1;
    assert.deepEqual([key, record?.begun, record?.finished], [key, begun, 1]);
  }
}

for (const [name, each] of Object.entries(cases)) {
  test(`a worker killed ${name.replaceAll('-', ' ')}`, () => killed(name, each));
}
