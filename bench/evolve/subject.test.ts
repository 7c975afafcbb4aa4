import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readFleetCorpus } from '../../activities/fleet/corpus.ts';
import { ContentStore } from '../../control/store/index.ts';
import { workloadsOf } from './cases.ts';
import { makeFleetSubject, makeSubject } from './subject.ts';

const folder = mkdtempSync(join(tmpdir(), 'ratchet-subject-'));
after(() => rmSync(folder, { recursive: true }));
const store = new ContentStore(folder);
const organizations = [...workloadsOf('a', 1, 1), ...workloadsOf('mixed', 1, 2)];
const [a] = workloadsOf('a', 1, 1);

test('the same seed gives the same subject, another one other traffic', async () => {
  assert.ok(a);
  const [one, again, other] = [
    await makeSubject(store, a, 32, 1),
    await makeSubject(store, a, 32, 1),
    await makeSubject(store, a, 32, 2),
  ];
  assert.deepEqual(one, again);
  assert.deepEqual(one.configuration, other.configuration);
  assert.deepEqual(one.specialization, other.specialization);
  assert.notEqual(one.corpus.fit.digest, other.corpus.fit.digest);
  assert.notEqual(one.corpus.fit.digest, one.corpus.check.digest);
});

test('the fleet is sampled as the product samples it, with the same names every time', async () => {
  const [one, again, other] = [
    await makeFleetSubject(store, organizations, 32, 1),
    await makeFleetSubject(store, organizations, 32, 1),
    await makeFleetSubject(store, organizations, 32, 2),
  ];
  assert.deepEqual(one, again);
  assert.equal(one.name, 'fleet');
  assert.notEqual(one.corpus.fit.digest, other.corpus.fit.digest);
  const { members } = await readFleetCorpus(store, one.corpus.fit);
  assert.equal(members.length, organizations.length);
  const messages = members.reduce((sum, member) => sum + member.messages, 0);
  const { members: kept } = await readFleetCorpus(store, one.corpus.check);
  assert.equal(messages + kept.reduce((sum, member) => sum + member.messages, 0), one.messages);
});
