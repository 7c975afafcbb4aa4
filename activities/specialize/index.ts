/**
 * Stage `specialize`: the configuration as constants, and the plain module that evolution starts
 * from.
 */
import { decodeBlob, encodeBlob } from '../../control/configuration/index.ts';
import { type Specialisation, specialise, specialiseFleet } from '../../evolver/specialise.ts';
import { isFleet, NO_CONFIGURATION } from '../../workflows/level.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import type { Activities, Specialization } from '../types.ts';

export function specializeActivities({
  store,
}: Pick<Deps, 'store'>): Pick<Activities, 'specialize'> {
  return {
    specialize: async ({ org, configuration }) => {
      if (isFleet(org)) return await specializeFleet(store);
      const blob = await store.get(configuration.blob);
      const { digest } = configuration;
      try {
        return await put(store, specialise({ rules: decodeBlob(blob), blob, digest }));
      } catch (error) {
        // The same blob fails the same way every time.
        throw fatal('invalidProfile', error instanceof Error ? error.message : String(error));
      }
    },
  };
}

async function put(
  store: Deps['store'],
  { specRs, aggregateRs }: Specialisation,
): Promise<Specialization> {
  const [spec, seed] = await Promise.all([
    store.put(specRs, 'text/x-rust'),
    store.put(aggregateRs, 'text/x-rust'),
  ]);
  return { spec, seed };
}

/** Rules as data: one `spec.rs` for everybody. The blob of no rules stands for a configuration. */
async function specializeFleet(store: Deps['store']): Promise<Specialization> {
  await store.put(encodeBlob([]), NO_CONFIGURATION.blob.mediaType);
  return await put(store, specialiseFleet());
}
