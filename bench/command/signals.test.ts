/** Signals reach what a bench measures, and wait until it has stopped what it started. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const FIXTURE = fileURLToPath(new URL('interrupted.fixture.ts', import.meta.url));

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  test(`${signal}, and once more while it stops`, async () => {
    const args = ['--import', 'tsx', FIXTURE];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = once(child, 'exit');
    const lines: string[] = [];
    for await (const line of createInterface(child.stderr)) {
      lines.push(line);
      if (line === 'waiting' || line === 'stopping') child.kill(signal);
    }
    assert.deepEqual(lines, ['waiting', 'stopping', 'stopped', 'bench sample: interrupted']);
    assert.deepEqual(await ended, [130, null]);
  });
