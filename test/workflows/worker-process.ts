/**
 * A worker in a process of its own, to be killed: its stages go through the record of stages, as
 * the real ones do. At the stage named by `HANG_AT` the first process stops for ever, having told
 * so in a marker file; a later process finds the marker and goes on.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { NativeConnection, Worker } from '@temporalio/worker';
import { StageRecords } from '../../activities/stages.ts';
import type { Activities } from '../../activities/types.ts';
import { CONTROL_QUEUE } from '../../workflows/messages.ts';
import { EVOLVER_QUEUE } from './environment.ts';
import { fakes, Table } from './fakes.ts';

const { TEMPORAL, BUNDLE, DIRECTORY = '', HANG_AT = '' } = process.env;
const stages = new StageRecords(join(DIRECTORY, 'stages'));
const marker = join(DIRECTORY, 'hanging');

/** `before:<key>` hangs inside the stage, `after:<key>` when it finished but has not reported. */
async function hangAt(place: string): Promise<void> {
  if (HANG_AT !== place || existsSync(marker)) return;
  writeFileSync(marker, place);
  const context = Context.current();
  for (;;) {
    context.heartbeat();
    await context.sleep(500);
  }
}

function staged<Name extends 'sample' | 'build' | 'benchmark' | 'shadow' | 'publish'>(name: Name) {
  const act = inner[name] as (input: never) => Promise<unknown>;
  return async (input: { candidate?: string; org: string }) => {
    const key = `${input.candidate ?? input.org}/${name}`;
    const result = await stages.once(key, async () => {
      await hangAt(`before:${key}`);
      return await act(input as never);
    });
    await hangAt(`after:${key}`);
    return result;
  };
}

const inner = fakes({}, new Table()).activities;
const activities = {
  ...inner,
  sample: staged('sample'),
  build: staged('build'),
  benchmark: staged('benchmark'),
  shadow: staged('shadow'),
  publish: staged('publish'),
} as unknown as Activities;

const connection = await NativeConnection.connect({ address: TEMPORAL ?? '' });
const workers = await Promise.all([
  Worker.create({
    connection,
    activities,
    taskQueue: CONTROL_QUEUE,
    workflowBundle: { codePath: BUNDLE ?? '' },
  }),
  Worker.create({
    connection,
    activities,
    taskQueue: EVOLVER_QUEUE,
    maxConcurrentActivityTaskExecutions: 1,
  }),
]);
await Promise.all(workers.map((worker) => worker.run()));
