/** Builds the sources that tenants' modules are made from, as the pipeline's stages do. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readKit } from '../../activities/build/kit.ts';
import { compile } from '../../activities/build/rustc.ts';
import { decodeBlob } from '../../control/configuration/index.ts';
import { findExecutable } from '../../control/stack/index.ts';
import { specialise } from '../../evolver/specialise.ts';
import { configurationOf } from './population.ts';

const COMPONENTIZED_WITHIN_MS = 120_000;
const run = promisify(execFile);

/** One component a variant of the rules, with those rules as constants. */
export async function buildSources(
  count: number,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const kit = await readKit(findExecutable('kit'));
  const folder = await mkdtemp(join(tmpdir(), 'ratchet-bench-sources-'));
  try {
    const components: Uint8Array[] = [];
    for (let variant = 0; variant < count; variant++) {
      const { blob, digest } = configurationOf('bench', variant);
      const { specRs, aggregateRs } = specialise({ rules: decodeBlob(blob), blob, digest });
      const sources = { spec: Buffer.from(specRs), aggregate: Buffer.from(aggregateRs) };
      const built = await compile(kit, sources, signal);
      if (built.verdict !== 'compiled') throw new Error(`source ${variant}: ${built.verdict}`);
      components.push(await componentize(folder, built.core, signal));
      if ((variant + 1) % 10 === 0) say(`${variant + 1} sources are built`);
    }
    return components;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function componentize(
  folder: string,
  core: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const [from, to] = [join(folder, 'core.wasm'), join(folder, 'component.wasm')];
  await writeFile(from, core);
  const args = ['componentize', '--core', from, '--out', to];
  await run(findExecutable('aggregator'), args, { timeout: COMPONENTIZED_WITHIN_MS, signal });
  return await readFile(to);
}
