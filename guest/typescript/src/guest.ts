/** The exports of the world (`guest/wit/world.wit`). A throw ends the guest with a trap. */
import { read } from 'ratchet:guest/payload@1.0.0';
import { aggregate, type Plan, planOf } from './aggregate.ts';
import { readMessage } from './message.ts';
import { parseRules } from './rules.ts';

let plan: Plan | undefined;

export function init(rules: Uint8Array): void {
  plan = planOf(parseRules(rules));
}

/** `process` of the world: the componentizer finds exports by their names. */
function processMessage(
  len: number,
  _prefix: number,
  strings: number,
  keys: number,
  sets: number,
  points: number,
  minTs: bigint,
  _maxTs: bigint,
): Uint8Array {
  if (plan === undefined) throw new Error('process before init');
  const start = Number(minTs);
  const header = { len, strings, keys, sets, points, minTs: start };
  return aggregate(plan, readMessage(read(0, len), header, plan.keys), start);
}

export { processMessage as process };
