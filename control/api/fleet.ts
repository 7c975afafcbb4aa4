/** Whom the module of the fleet serves, as far as the tables tell. */
import type { ApiServices } from './route.ts';

/** Organizations that are looked at: two reads each. */
const ORGANIZATIONS_MAX = 1_000;
const READS_MAX = 16;

/** Organizations without a module of their own for the rules in force, sorted. */
export async function servedByFleet(services: ApiServices): Promise<string[]> {
  const all = (await services.configurations.organizations()).slice(0, ORGANIZATIONS_MAX);
  const served: string[] = [];
  for (let at = 0; at < all.length; at += READS_MAX) {
    const some = all.slice(at, at + READS_MAX);
    const own = await Promise.all(some.map((org) => hasOwn(services, org)));
    served.push(...some.filter((_, index) => own[index] !== true));
  }
  return served;
}

async function hasOwn({ configurations, active }: ApiServices, org: string): Promise<boolean> {
  const [stored, published] = await Promise.all([configurations.read(org), active.read(org)]);
  if (published === null || published.manifest.module === null) return false;
  return published.manifest.configuration === stored?.digest;
}
