/** What a search is for: a configuration, its first form, and a sample of its traffic. */
import { storeSample } from '../../activities/sample/index.ts';
import { specializeActivities } from '../../activities/specialize/index.ts';
import type { Corpus, Specialization } from '../../activities/types.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import type { ContentStore, Ref } from '../../control/store/index.ts';
import type { ConfigurationRef } from '../../workflows/messages.ts';
import { seededRandom } from '../workloads/random.ts';
import { generateMessage, type Workload } from '../workloads/workloads.ts';

export interface Subject {
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

function traffic(workload: Workload, count: number, seed: number): Uint8Array[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    return generateMessage(workload, BEGIN_MS + STEP_MS * index, random).payload;
  });
}
