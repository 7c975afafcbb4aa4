/** Golden histories: today's workflows must still make the decisions that are on record. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { readHistory } from './history-json.ts';

const folder = new URL('../histories/', import.meta.url).pathname;
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));

function* histories() {
  for (const name of names) {
    const history = readHistory(JSON.parse(readFileSync(join(folder, name), 'utf8')));
    yield { workflowId: name, history };
  }
}

test('golden histories replay', async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const workflowsPath = new URL('../../workflows/index.ts', import.meta.url).pathname;
  const logger = new DefaultLogger('ERROR');
  const { code } = await bundleWorkflowCode({ workflowsPath, logger });
  const replayed: string[] = [];
  for await (const result of Worker.runReplayHistories({ workflowBundle: { code } }, histories())) {
    assert.equal(result.error, undefined, `${result.workflowId}: ${result.error?.message}`);
    replayed.push(result.workflowId);
  }
  assert.deepEqual(replayed.sort(), names.sort());
  assert.ok(names.length >= 28, `only ${names.length} histories`);
});

test('golden histories are small and name no machine', () => {
  for (const name of names) {
    const text = readFileSync(join(folder, name), 'utf8');
    assert.ok(text.length < 200_000, `${name} has ${text.length} characters`);
    assert.equal(/"identity"|\/(root|home|work|Users)\//.test(text), false, name);
    if (hostname().length > 4) assert.equal(text.includes(hostname()), false, name);
  }
});

test('a decision that is not on record is noticed', async () => {
  const logger = new DefaultLogger('ERROR');
  const workflowsPath = new URL('../../workflows/index.ts', import.meta.url).pathname;
  const { code } = await bundleWorkflowCode({ workflowsPath, logger });
  const text = readFileSync(join(folder, 'generation-promoted.json'), 'utf8');
  const changed = text.replaceAll('"name":"checkSource"', '"name":"checkSomething"');
  assert.notEqual(changed, text);
  const history = readHistory(JSON.parse(changed));
  const replay = Worker.runReplayHistory({ workflowBundle: { code } }, history, 'changed');
  await assert.rejects(replay, /[Nn]ondeterminism/);
});
