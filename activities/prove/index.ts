/** Stage `prove`: how far the codec that candidates link is proven, and whether this deployment admits that. */
import { readKit } from '../build/kit.ts';
import type { Deps } from '../deps.ts';
import type { Activities } from '../types.ts';

export function proveActivities({ settings }: Pick<Deps, 'settings'>): Pick<Activities, 'prove'> {
  return {
    prove: async () => {
      const { codecDigest: codec } = await readKit(settings.kit);
      // There is no attestation of any codec yet, so the honest verdict is the same for all.
      if (settings.proofPolicy === 'unproven')
        return { verdict: 'unproven', codec, admitted: true };
      const reason = `codec ${codec.slice(0, 12)} is unproven, policy asks: ${settings.proofPolicy}`;
      return { verdict: 'unproven', codec, admitted: false, reason };
    },
  };
}
