/** What the activities are given here: real tools, and a store in the bench's output folder. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readKit } from '../../activities/build/kit.ts';
import type { Deps, StageSettings } from '../../activities/deps.ts';
import { loadSettings } from '../../control/config.ts';
import { ContentStore } from '../../control/store/index.ts';

export interface BenchDeps {
  settings: StageSettings;
  store: ContentStore;
  /** They name what a figure was made with. */
  kitDigest: string;
  aggregatorDigest: string;
}

/** Needs the environment of the bootstrap: RATCHET_KIT and RATCHET_AGGREGATOR. */
export async function benchDeps(
  environment: NodeJS.ProcessEnv,
  folder: string,
): Promise<BenchDeps> {
  const settings = loadSettings(environment);
  return {
    settings,
    store: new ContentStore(join(folder, 'store')),
    kitDigest: (await readKit(settings.kit)).digest,
    aggregatorDigest: await fileDigest(settings.aggregator),
  };
}

async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** The book remembers what is worth it; a stage that is asked for runs. */
export const EVERY_TIME: Deps['stages'] = {
  once: (_key, run) => run(),
  read: async () => null,
};

/** No module comes from another host. */
export const NO_MODULES = { get: async () => null };
