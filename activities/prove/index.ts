/**
 * Stage `prove`: how far the codec that candidates link is proven, and whether this deployment
 * admits that.
 */
import { readKit } from '../build/kit.ts';
import type { Deps } from '../deps.ts';
import type { Activities } from '../types.ts';

export function proveActivities({ settings }: Pick<Deps, 'settings'>): Pick<Activities, 'prove'> {
  return {
    prove: async () => {
      const { codecDigest: codec } = await readKit(settings.kit);
      // There is no attestation of any codec yet: the honest verdict is the same for all.
      const policy = settings.proofPolicy;
      if (policy === 'unproven') return { verdict: 'unproven', codec, admitted: true };
      const reason = `codec ${codec.slice(0, 12)} is unproven, the policy asks: ${policy}`;
      return { verdict: 'unproven', codec, admitted: false, reason };
    },
  };
}
