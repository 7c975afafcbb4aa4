import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Connection } from '@temporalio/client';
import { processIdentity } from '../../control/stack/identity.ts';
import {
  connectNats,
  freePorts,
  repositoryRoot,
  type Stack,
  startStack,
  type UnexpectedExit,
} from '../../control/stack/index.ts';
import { type Launch, startService } from '../../control/stack/service.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ratchet-stack-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const started: Stack[] = [];
after(async () => {
  for (const stack of started) await stack.stop();
});

/** Stopped at the end of the file, whatever happens in a test. */
async function natsOnly(name: string, log: (line: string) => void = () => {}): Promise<Stack> {
  const stateDir = join(scratch, name);
  const stack = await startStack({ stateDir, ports: freePorts, services: ['nats'], log });
  started.push(stack);
  return stack;
}

function isAlive(pid: number): boolean {
  return processIdentity(pid) !== null;
}

async function reconnection(connection: NatsConnection): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'reconnect') return;
  }
}

function script(code: string, timeMs = 5_000, launch: Launch = {}) {
  return startService({
    name: 'sample',
    command: process.execPath,
    args: ['-e', code],
    env: process.env,
    cwd: scratch,
    logFile: join(scratch, 'logs', 'sample.log'),
    probe: () => Promise.reject(new Error('not yet')),
    readyWithinMs: timeMs,
    graceMs: 300,
    ...launch,
  });
}

describe('a server that does not come up', () => {
  test('one that ends at once is reported with its status and log', async () => {
    await assert.rejects(
      () => script('console.error("no licence"); process.exit(3)'),
      /sample ended at once \(exit status 3\).*no licence/s,
    );
  });

  test('one that is never healthy is stopped, though it ignores SIGTERM', async () => {
    const code =
      'process.on("SIGTERM", () => {}); console.log(process.pid); setInterval(() => {}, 9)';
    await assert.rejects(() => script(code, 700), /was not healthy within 0\.7 s \(not yet\)/);
    const pid = Number(
      readFileSync(join(scratch, 'logs', 'sample.log'), 'utf8')
        .trim()
        .split('\n')
        .at(-1),
    );
    assert.equal(isAlive(pid), false);
  });

  test('one that is given up is stopped, and none is started after it', async () => {
    const reason = new Error('given up');
    const giveUp = new AbortController();
    const pids: number[] = [];
    const onSpawn = (pid: number) => {
      pids.push(pid);
      setTimeout(() => giveUp.abort(reason), 50);
    };
    for (const _ of ['during', 'after']) {
      const start = script('setInterval(() => {}, 9)', 30_000, { onSpawn, signal: giveUp.signal });
      await assert.rejects(start, (error) => error === reason);
    }
    assert.deepEqual(pids.map(isAlive), [false]);
  });

  test('a program that does not exist is named', async () => {
    const missing = { temporal: '', nats: join(scratch, 'nowhere'), aggregator: '', kit: '' };
    const options = { stateDir: join(scratch, 'missing'), ports: freePorts };
    const start = () => startStack({ ...options, services: ['nats'], executables: missing });
    await assert.rejects(start, /nats: cannot run .*nowhere/);
    assert.equal(existsSync(join(scratch, 'missing', 'stack.lock')), false);
  });
});

describe('a stack', () => {
  test('whose start is given up leaves nothing behind', async () => {
    const giveUp = new AbortController();
    const stateDir = join(scratch, 'given-up');
    const begun: string[] = [];
    const log = (line: string) => {
      begun.push(line);
      giveUp.abort();
    };
    const options = { stateDir, ports: freePorts, log, signal: giveUp.signal };
    const starting = startStack({ ...options, services: ['temporal', 'nats'] });
    await assert.rejects(starting, { name: 'AbortError' });
    assert.match(begun.join('\n'), /^temporal is healthy .*\ntemporal stopped$/);
    assert.equal(existsSync(join(stateDir, 'stack.lock')), false);
  });

  test('starts Temporal with namespace, attributes and UI, and keeps its state', async () => {
    const options = { stateDir: join(scratch, 'temporal'), ports: freePorts };
    for (let round = 0; round < 2; round += 1) {
      const stack = await startStack({ ...options, services: ['temporal'] });
      const connection = await Connection.connect({ address: stack.addresses.temporal });
      const namespace = stack.temporalNamespace;
      const found = await connection.operatorService.listSearchAttributes({ namespace });
      assert.ok(found.customAttributes?.ModuleDigest !== undefined);
      await connection.close();
      for (const url of [stack.addresses.temporalUi, stack.addresses.temporalMetrics]) {
        assert.equal((await fetch(url)).status, 200, url);
      }
      assert.throws(() => stack.addresses.nats, /"nats" was not started/);
      await stack.stop();
    }
  });

  test('a state directory serves one stack at a time', async () => {
    const stack = await natsOnly('single');
    const expected = new RegExp(`in use by the stack of process ${process.pid}.*RATCHET_STATE`);
    await assert.rejects(() => natsOnly('single'), expected);
    await stack.stop();
    await (await natsOnly('single')).stop();
  });

  test('messages survive a server killed and started again on the same port', async (t) => {
    const stack = await natsOnly('restart');
    const url = stack.addresses.nats;
    const producer = await connectNats(url, 'producer', stack.secrets.password('producer'));
    t.after(() => producer.close());
    await jetstream(producer).publish('ingest.acme', 'one');
    const reconnected = reconnection(producer);
    const first = stack.service('nats').pid;
    await stack.restart('nats', { signal: 'SIGKILL', downMs: 100 });
    assert.notEqual(stack.service('nats').pid, first);
    assert.equal(stack.addresses.nats, url);
    await reconnected;
    assert.equal((await jetstream(producer).publish('ingest.acme', 'two')).seq, 2);
    await stack.stop();
    assert.equal(await stack.ended, null);
  });

  test('an unexpected exit is reported and ends the stack', async () => {
    const stack = await natsOnly('crash');
    const told: UnexpectedExit[] = [];
    stack.onExit((exit) => told.push(exit));
    process.kill(stack.service('nats').pid, 'SIGKILL');
    const end = await stack.ended;
    assert.equal(end?.service, 'nats');
    assert.deepEqual(told, [end]);
    assert.match(end?.message ?? '', /ended unexpectedly: signal SIGKILL.*Server is ready/s);
    assert.throws(() => stack.service('nats'), /does not run/);
  });

  test('what a killed launcher leaves behind is found and stopped', async () => {
    const state = join(scratch, 'orphans');
    const file = join(scratch, 'launcher.mts');
    const index = join(repositoryRoot, 'control', 'stack', 'index.ts');
    writeFileSync(
      file,
      `import { freePorts, startStack } from ${JSON.stringify(index)};
       const options = { stateDir: ${JSON.stringify(state)}, ports: freePorts };
       await startStack({ ...options, services: ['nats'] });
       process.kill(process.pid, 'SIGKILL');`,
    );
    const run = spawnSync(process.execPath, ['--import', 'tsx', file], { cwd: repositoryRoot });
    assert.equal(run.signal, 'SIGKILL', String(run.stderr));
    const lock = JSON.parse(readFileSync(join(state, 'stack.lock'), 'utf8'));
    const orphan: number = lock.services[0].pid;
    assert.equal(isAlive(orphan), true);
    const lines: string[] = [];
    const stack = await natsOnly('orphans', (line) => lines.push(line));
    assert.equal(isAlive(orphan), false);
    assert.match(lines.join('\n'), new RegExp(`stopping nats \\(process ${orphan}\\), left by`));
    await stack.stop();
  });

  test('needs are checked before anything starts', async () => {
    const options = { stateDir: join(scratch, 'needs'), services: ['aggregator'] as const };
    await assert.rejects(() => startStack(options), /aggregator needs nats/);
  });
});
