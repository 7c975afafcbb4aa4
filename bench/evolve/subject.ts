/** What a search is for: a configuration, its first form, and a sample of its traffic. */
import { MESSAGES_MAX, rename, storeFleetSample } from '../../activities/fleet/sample.ts';
import { storeSample } from '../../activities/sample/index.ts';
import { specializeActivities } from '../../activities/specialize/index.ts';
import type { Corpus, Specialization } from '../../activities/types.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { type ContentStore, type Ref, sha256 } from '../../control/store/index.ts';
import { FLEET, NO_CONFIGURATION } from '../../workflows/level.ts';
import type { ConfigurationRef } from '../../workflows/messages.ts';
import { seededRandom } from '../workloads/random.ts';
import { generateMessage, type Workload } from '../workloads/workloads.ts';

export interface Subject {
  /** That of the fleet is the fleet's. */
  name: string;
  configuration: ConfigurationRef;
  specialization: Specialization;
  corpus: Corpus;
  profile: Ref;
  messages: number;
}

const BEGIN_MS = 1_700_000_000_000;
/** Between messages: some of them lie across the border of a window. */
const STEP_MS = 1_700;

export async function makeSubject(
  store: ContentStore,
  workload: Workload,
  messages: number,
  seed: number,
): Promise<Subject> {
  const name = workload.name.toLowerCase();
  const compiled = compileConfiguration(name, workload.rules);
  const configuration = {
    ...{ digest: compiled.digest, rules: compiled.rules.length, effective_from_ms: 0 },
    blob: await store.put(compiled.blob, 'application/octet-stream'),
  };
  const key = { org: name, generation: 1, rerun: 0 };
  const { specialize } = specializeActivities({ store });
  const sample = await storeSample(store, configuration, traffic(workload, messages, seed));
  return {
    ...{ name, configuration, ...sample },
    specialization: await specialize({ ...key, configuration }),
  };
}

/** One search for all of them, on messages under new names, as the product samples its fleet. */
export async function makeFleetSubject(
  store: ContentStore,
  workloads: readonly Workload[],
  messages: number,
  seed: number,
): Promise<Subject> {
  const count = Math.min(messages, MESSAGES_MAX);
  const sampled = workloads.map((workload) => {
    const { digest, blob } = compileConfiguration(workload.name.toLowerCase(), workload.rules);
    // A key of the workload's own: a run that is made again meets the same names.
    const key = Buffer.from(sha256(`${workload.name}/${seed}`), 'hex');
    return rename({ digest, blob }, traffic(workload, count, seed), key);
  });
  const { specialize } = specializeActivities({ store });
  const configuration = NO_CONFIGURATION;
  return {
    ...{ name: FLEET, configuration, ...(await storeFleetSample(store, sampled)) },
    specialization: await specialize({ org: FLEET, generation: 1, rerun: 0, configuration }),
  };
}

function traffic(workload: Workload, count: number, seed: number): Uint8Array[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    return generateMessage(workload, BEGIN_MS + STEP_MS * index, random).payload;
  });
}
