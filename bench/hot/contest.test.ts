/** What the contest is about compiles with the libraries of now. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { found, options } from '../../activities/executables.fixture.ts';
import { buildModule } from './contest.ts';
import { makeSubject, WORKLOADS } from './subject.ts';

const folder = mkdtempSync(join(tmpdir(), 'ratchet-hot-'));
after(() => rmSync(folder, { recursive: true }));

for (const name of WORKLOADS) {
  test(
    `the promoted design of workload ${name} compiles, another text does not`,
    options,
    async ({ signal }) => {
      const subject = makeSubject(name, folder, { messages: 8, seed: 7 });
      const source = readFileSync(new URL(`promoted/${name}.rs.txt`, import.meta.url), 'utf8');
      const file = join(folder, `${name}.wasm`);
      const env = { RATCHET_KIT: found?.kit };
      assert.equal(await buildModule(env, subject, source, file, signal), file);
      assert.equal(await buildModule(env, subject, `${source}\nfn`, file, signal), null);
    },
  );
}
