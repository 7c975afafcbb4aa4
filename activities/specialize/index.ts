/**
 * Stage `specialize`: the configuration as constants, and the plain module that evolution starts
 * from.
 */
import { decodeBlob } from '../../control/configuration/index.ts';
import { specialise } from '../../evolver/specialise.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import type { Activities } from '../types.ts';

export function specializeActivities({
  store,
}: Pick<Deps, 'store'>): Pick<Activities, 'specialize'> {
  return {
    specialize: async ({ configuration }) => {
      const blob = await store.get(configuration.blob);
      const { digest } = configuration;
      try {
        const { specRs, aggregateRs } = specialise({ rules: decodeBlob(blob), blob, digest });
        const [spec, seed] = await Promise.all([
          store.put(specRs, 'text/x-rust'),
          store.put(aggregateRs, 'text/x-rust'),
        ]);
        return { spec, seed };
      } catch (error) {
        // The same blob fails the same way every time.
        throw fatal('invalidProfile', error instanceof Error ? error.message : String(error));
      }
    },
  };
}
