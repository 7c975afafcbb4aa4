/**
 * All activities, built from what they need. `Activities` in `types.ts` is what workflows know of
 * them.
 */
import { benchmarkActivities } from './benchmark/index.ts';
import { buildActivities } from './build/index.ts';
import { challengeActivities } from './challenge/index.ts';
import type { Deps } from './deps.ts';
import { translateFault } from './faults.ts';
import { mutateActivities } from './mutate/index.ts';
import { observeActivities } from './observe/index.ts';
import { proveActivities } from './prove/index.ts';
import { publishActivities } from './publish/index.ts';
import { recordActivities } from './record/index.ts';
import { sampleActivities } from './sample/index.ts';
import { shadowActivities } from './shadow/index.ts';
import { signActivities } from './sign/index.ts';
import { specializeActivities } from './specialize/index.ts';
import type { Activities } from './types.ts';

export type { Deps } from './deps.ts';

export function createActivities(deps: Deps): Activities {
  return translated({
    ...sampleActivities(deps),
    ...specializeActivities(deps),
    ...mutateActivities(deps),
    ...buildActivities(deps),
    ...proveActivities(deps),
    ...benchmarkActivities(deps),
    ...recordActivities(deps),
    ...observeActivities(deps),
    ...challengeActivities(deps),
    ...shadowActivities(deps),
    ...signActivities(deps),
    ...publishActivities(deps),
  });
}

/** Every fault leaves an activity with the type that the retry policies name. */
function translated(activities: Activities): Activities {
  const wrapped = Object.entries(activities).map(([name, act]) => [
    name,
    async (input: never) => {
      try {
        return await (act as (input: never) => Promise<unknown>)(input);
      } catch (error) {
        throw translateFault(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as Activities;
}
