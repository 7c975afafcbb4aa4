/** Two modules of one organization that passed every gate, by the product's own loop. */
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../control/within.ts';
import type { OrganizationStatus } from '../../workflows/messages.ts';

const POLL_MS = 1_000;
const REQUEST_MS = 30_000;
const GENERATION_MAX_MS = 15 * 60_000;
const GENERATIONS_MAX = 8;

/** Where the API is, an administrator's token for it, and what ends the waiting for it. */
export interface Api {
  readonly api: string;
  readonly token: string;
  readonly signal: AbortSignal;
}

/**
 * Evolves until two different modules were promoted, each against the baseline: between the two the
 * organization goes back to it, so that the second need not beat the first. Returns the digests of
 * the statements that promoted them.
 */
export async function twoModules(
  api: Api,
  org: string,
  say: (line: string) => void,
): Promise<[string, string]> {
  const statements = new Map<string, string>();
  for (let turn = 1; turn <= GENERATIONS_MAX; turn++) {
    const { active, outcomes } = await settled(api, org);
    const module = active?.module ?? null;
    say(`generation ${turn}: ${outcomes.at(-1)?.outcome ?? 'none'}, module ${module ?? 'none'}`);
    if (active !== null && module !== null) statements.set(module, active.statement);
    const [first, second] = [...statements.values()];
    if (first !== undefined && second !== undefined) return [first, second];
    const path = `/v1/organizations/${org}`;
    if (module !== null) {
      await request(api, 'POST', `${path}/rollback`, { to_baseline: true });
      await request(api, 'POST', `${path}/resume`, {});
    }
    await request(api, 'POST', `${path}/evolutions`, { budget: { generations: 1 } });
  }
  throw new Error(`${GENERATIONS_MAX} generations made fewer than two modules`);
}

/** Waits until the organization evolves no more. */
async function settled(api: Api, org: string): Promise<OrganizationStatus> {
  const deadline = performance.now() + GENERATION_MAX_MS;
  for (;;) {
    await sleep(POLL_MS, undefined, { signal: api.signal });
    const found = await request(api, 'GET', `/v1/organizations/${org}`);
    const { status } = found as { status: OrganizationStatus | null };
    if (status?.stage === 'settled') return status;
    if (performance.now() > deadline) {
      throw new Error(`${org} is still ${status?.stage} after ${GENERATION_MAX_MS / 60_000} min`);
    }
  }
}

async function request(
  { api, token, signal: interrupt }: Api,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const answer = async (signal: AbortSignal) => {
    const response = await fetch(api + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };
  return await within(REQUEST_MS, answer, interrupt);
}
