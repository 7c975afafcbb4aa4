/** Stage `shadow`: asks an aggregator about one candidate. What comes back is one word. */

import type { NatsConnection } from '@nats-io/transport-node';
import { Context } from '@temporalio/activity';
import { NatsFault } from '../../control/nats.ts';
import type { Deps } from '../deps.ts';
import { beating, pause } from '../heartbeat.ts';
import { generationOf, stageKey } from '../keys.ts';
import type { Activities, ShadowInput, ShadowVerdict } from '../types.ts';
import { type Answer, type Evaluation, evaluate } from './service.ts';

/** Below the activity's own limit, so that a late answer is told as such. */
const TOTAL_MS = 9 * 60_000;
/** One question; after that the aggregator that had it may be gone, and another is asked. */
const QUESTION_MS = 45_000;
const BUSY_PAUSE_MS = 2_000;
/** Refusals that pass by themselves. */
const PASSING: ReadonlySet<string> = new Set(['busy', 'unavailable', 'starting']);

export function shadowActivities(
  deps: Pick<Deps, 'nats' | 'store' | 'modules' | 'stages' | 'now'>,
): Pick<Activities, 'shadow'> {
  return {
    shadow: (input) =>
      deps.stages.once(
        stageKey(
          ...([input.candidate, 'shadow', input.component.digest] as const),
          ...[input.configuration, ...(input.foreign ? ['foreign'] : [])],
        ),
        () => shadow(deps, input),
        async (verdict) => verdict.verdict !== 'insufficient',
      ),
  };
}

async function shadow(
  deps: Pick<Deps, 'nats' | 'store' | 'modules' | 'now'>,
  input: ShadowInput,
): Promise<ShadowVerdict> {
  const request: Evaluation = {
    org: input.org,
    configuration: input.configuration,
    module: input.component.digest,
    size: input.component.size,
    generation: generationOf(input),
    candidate: input.candidate,
    ...(input.foreign && { foreign: true }),
  };
  return await beating({ candidate: input.candidate }, async () => {
    // The service reads the candidate's bytes where it reads every module's.
    await deps.modules.put(await deps.store.get(input.component));
    const { cancelled } = Context.current();
    const answer = await Promise.race([untilAnswered(deps, request), cancelled]);
    if (answer.ok) return answer.value;
    const { error: reason, detail } = answer.refusal;
    return { verdict: 'refused', reason, detail: detail.slice(0, 200) };
  });
}

/** Busy and absent services are asked again; the same candidate is never charged twice. */
async function untilAnswered(
  { nats, now }: { nats: NatsConnection; now: () => number },
  request: Evaluation,
): Promise<Answer<{ verdict: 'pass' | 'fail' | 'insufficient' }>> {
  const deadline = now() + TOTAL_MS;
  for (;;) {
    const left = deadline - now();
    try {
      const limit = Math.max(1_000, Math.min(left, QUESTION_MS));
      const answer = await whileConnected(nats, () => evaluate(nats, request, limit));
      if (answer.ok || !PASSING.has(answer.refusal.error)) return answer;
    } catch (error) {
      const again = error instanceof NatsFault && error.code === 'unavailable';
      if (!again || left <= BUSY_PAUSE_MS) throw error;
    }
    if (left <= BUSY_PAUSE_MS) {
      throw new NatsFault('unavailable', `shadow.evaluate of ${request.candidate}: still busy`);
    }
    await pause(BUSY_PAUSE_MS);
  }
}

/** An answer on its way when the connection broke never arrives: then ask again at once. */
async function whileConnected<T>(nats: NatsConnection, ask: () => Promise<T>): Promise<T> {
  const events = nats.status()[Symbol.asyncIterator]();
  const broken = (async () => {
    for (;;) {
      const { done, value } = await events.next();
      if (done === true) return await new Promise<never>(() => undefined);
      if (value.type === 'reconnect') throw new NatsFault('unavailable', 'reconnected to NATS');
    }
  })();
  const answer = ask();
  try {
    return await Promise.race([answer, broken]);
  } finally {
    // Whichever lost the race must not become an unhandled rejection.
    answer.catch(() => undefined);
    broken.catch(() => undefined);
    await events.return?.();
  }
}
