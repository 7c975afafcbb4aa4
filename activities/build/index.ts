/** Stage `build`: source policy, compiler, component, module policy. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Archive } from '../../evolver/archive.ts';
import { INSTRUCTIONS } from '../../evolver/search/features.ts';
import { runAggregator } from '../aggregator.ts';
import type { Deps } from '../deps.ts';
import { readFleetCorpus } from '../fleet/corpus.ts';
import { beating } from '../heartbeat.ts';
import { stageKey } from '../keys.ts';
import type { Activities, BuildVerdict, CandidateBuildInput, Corpus } from '../types.ts';
import { type Kit, readKit } from './kit.ts';
import { checkUnchanged, hashLibraries, writeLinked } from './linked.ts';
import { compile } from './rustc.ts';

type Building = Pick<Activities, 'checkSource' | 'build' | 'checkModule'>;
type Needs = Pick<Deps, 'settings' | 'store' | 'stages'> & {
  archive: Pick<Archive, 'moduleTwin'>;
};

/** What aggregators accept at most. */
export const COMPONENT_BYTES_MAX = 4 * 1024 * 1024;

const refused = { verdict: z.literal('refused'), rule: z.string(), reason: z.string() };
const sourceSchema = z.discriminatedUnion('verdict', [
  z.object({ verdict: z.literal('pass') }),
  z.object({ ...refused, line: z.int(), column: z.int() }),
]);
export const instructionsSchema = z.record(z.enum(INSTRUCTIONS), z.int().nonnegative());
const moduleSchema = z.discriminatedUnion('verdict', [
  // An aggregator of before they were counted says none.
  z.object({ verdict: z.literal('pass'), instructions: instructionsSchema.exactOptional() }),
  z.object(refused),
]);
const componentizeSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), sha256: z.string(), size: z.int() }),
  z.object({ ok: z.literal(false), reason: z.string() }),
]);

export function buildActivities(deps: Needs): Building {
  const { settings, store, stages } = deps;
  return {
    checkSource: async ({ source, corpus }) => {
      const words = corpus === undefined ? null : await wordsOf(store, corpus);
      const against = words === null ? [] : ['--words', store.path(words)];
      const args = ['check', 'source', store.path(source.digest), ...against];
      return await runAggregator(settings.aggregator, args, sourceSchema);
    },
    build: async (input) => {
      const inputs = [input.source.digest, input.spec.digest, settings.kit ?? ''];
      const built = await stages.once(
        stageKey(input.candidate, 'build', ...inputs),
        async () =>
          (await recordedBuild(deps, input, inputs)) ??
          (await beating({ candidate: input.candidate }, (signal) => build(deps, input, signal))),
        (verdict) => stillThere(deps, verdict),
      );
      return withTwin(deps, input, built);
    },
    checkModule: async ({ component, foreign }) => {
      if (foreign && settings.wasi === 'none') {
        return { verdict: 'refused', rule: 'policy', reason: 'no tenant may bring modules here' };
      }
      // What was built here imports no WASI, whatever tenants may bring.
      const wasi = foreign ? settings.wasi : 'none';
      const args = ['check', 'module', '--wasi', wasi, store.path(component.digest)];
      return await runAggregator(settings.aggregator, args, moduleSchema);
    },
  };
}

/** Digest of the texts that occur in the traffic of a fleet's corpus. */
async function wordsOf(store: Needs['store'], corpus: Corpus): Promise<string> {
  return (await readFleetCorpus(store, corpus.fit)).words;
}

/** Of a re-run that begins behind the build: what the first attempt built. */
async function recordedBuild(
  deps: Needs,
  { recorded }: CandidateBuildInput,
  inputs: string[],
): Promise<BuildVerdict | null> {
  if (recorded === undefined) return null;
  const record = await deps.stages.read(stageKey(recorded, 'build', ...inputs));
  if (record === null || record.finished === 0) return null;
  const verdict = record.result as BuildVerdict;
  return (await stillThere(deps, verdict)) ? verdict : null;
}

/** Sources that compile to the same component are the same module: it was measured before. */
function withTwin(
  { archive }: Pick<Needs, 'archive'>,
  { candidate, new_in: configuration }: CandidateBuildInput,
  built: BuildVerdict,
): BuildVerdict {
  if (configuration === undefined || built.verdict !== 'built') return built;
  const twin = archive.moduleTwin(candidate, configuration, built.component.digest);
  return twin === null ? built : { ...built, twin };
}

async function stillThere(
  { store }: Pick<Needs, 'store'>,
  verdict: BuildVerdict,
): Promise<boolean> {
  if (verdict.verdict !== 'built') return true;
  return (await store.has(verdict.component)) && (await store.has(verdict.linked));
}

async function build(
  { settings, store }: Pick<Needs, 'settings' | 'store'>,
  input: CandidateBuildInput,
  signal: AbortSignal,
): Promise<BuildVerdict> {
  const kit = await readKit(settings.kit);
  const sources = {
    spec: await store.get(input.spec),
    aggregate: await store.get(input.source),
  };
  const libraries = await hashLibraries(kit);
  const compiled = await compile(kit, sources, signal);
  const { seconds } = compiled;
  if (compiled.verdict === 'compile-error') {
    const log = await store.put(compiled.log, 'text/plain');
    return { verdict: 'compile-error', reason: compiled.reason, log, seconds };
  }
  if (compiled.verdict !== 'compiled') return compiled;
  checkUnchanged(libraries, await hashLibraries(kit));
  return await componentize({ settings, store }, { ...compiled, kit, libraries }, signal);
}

interface CoreModule {
  core: Uint8Array;
  seconds: number;
  kit: Kit;
  libraries: Record<string, string>;
}

async function componentize(
  { settings, store }: Pick<Needs, 'settings' | 'store'>,
  { core, seconds: before, kit, libraries }: CoreModule,
  signal: AbortSignal,
): Promise<BuildVerdict> {
  const directory = await mkdtemp(join(tmpdir(), 'ratchet-component-'));
  try {
    const [from, to] = [join(directory, 'core.wasm'), join(directory, 'component.wasm')];
    await writeFile(from, core);
    const started = performance.now();
    const args = ['componentize', '--core', from, '--out', to];
    const made = await runAggregator(settings.aggregator, args, componentizeSchema, { signal });
    const seconds = before + (performance.now() - started) / 1_000;
    if (!made.ok) {
      const reason = `not a component: ${made.reason}`;
      const log = await store.put(reason, 'text/plain');
      return { verdict: 'compile-error', reason, log, seconds };
    }
    if (made.size > COMPONENT_BYTES_MAX) {
      return { verdict: 'too-large', reason: `component of ${made.size} bytes`, seconds };
    }
    const component = await store.put(await readFile(to), 'application/wasm');
    const linked = await writeLinked(store, kit, component, libraries);
    return { verdict: 'built', component, linked, seconds };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
