/**
 * Messages made once and sent often. Their points lie within one second of the clock, and their
 * times are told relative to the earliest, so that a message moves to another second by writing
 * two numbers. That makes a load that the generator is not the limit of.
 */

import { encodeMessage, type Point, type TagSet } from '../../control/payload/payload.ts';
import type { Ledger } from '../oracle/ledger.ts';
import { seededRandom } from '../workloads/random.ts';
import type { Workload } from '../workloads/workloads.ts';

const SETS = 50;
const POINTS = 200;
const SECOND = 1_000;
/** Where a payload has its earliest and its latest time. */
const MIN_TS = 32;
const MAX_TS = 40;

export interface Drawn {
  readonly payload: Uint8Array;
  /** The servers have answered: from here on its bytes are another's. */
  readonly settle: (stored: boolean) => void;
}

interface Template {
  payload: Uint8Array;
  /** Copies that nobody sends. To collect one a message would keep the servers' processors busy. */
  spare: Uint8Array[];
  sets: TagSet[];
  /** Points of each tag-set. */
  counts: number[];
}

export class Templates {
  private readonly templates: Template[];
  /** How often each template was stored, by the second that its points lie in. */
  private readonly stored = new Map<number, Uint32Array>();
  private turn = 0;

  constructor(workload: Workload, count: number, seed: number) {
    const random = seededRandom(seed);
    this.templates = Array.from({ length: count }, () => make(workload, random));
  }

  /** The next message, with its points in the last whole second before `nowMs`. */
  next(nowMs: number): Drawn {
    const index = this.turn % this.templates.length;
    this.turn += 1;
    const second = Math.floor(nowMs / SECOND) - 1;
    const { payload: original, spare } = this.templates[index] as Template;
    const payload = spare.pop() ?? original.slice();
    move(payload, original, second * SECOND);
    const settle = (stored: boolean) => {
      spare.push(payload);
      if (!stored) return;
      const counts = this.stored.get(second) ?? new Uint32Array(this.templates.length);
      counts[index] = (counts[index] ?? 0) + 1;
      this.stored.set(second, counts);
    };
    return { payload, settle };
  }

  /** Books everything that was stored; rules' windows are whole seconds. */
  book(ledger: Ledger): void {
    for (const [second, times] of this.stored) {
      this.templates.forEach(({ sets, counts }, index) => {
        const stored = times[index] ?? 0;
        if (stored === 0) return;
        sets.forEach((set, i) => {
          ledger.published(set, second * SECOND, stored * (counts[i] ?? 0));
        });
      });
    }
    this.stored.clear();
  }
}

function make(workload: Workload, random: ReturnType<typeof seededRandom>): Template {
  const sets = Array.from(
    { length: SETS },
    () => workload.series[random.below(workload.series.length)] as TagSet,
  );
  const counts = new Array<number>(SETS).fill(0);
  const points: Point[] = Array.from({ length: POINTS }, (_, i) => {
    const set = i < SETS ? i : random.below(SETS);
    counts[set] = (counts[set] ?? 0) + 1;
    return { set, ts: i === 0 ? 0 : random.below(SECOND), value: random.fullMantissa() };
  });
  return { payload: encodeMessage(sets, points), spare: [], sets, counts };
}

/** Makes a copy say that all points are later than in the original by `byMs`. */
function move(copy: Uint8Array, original: Uint8Array, byMs: number): void {
  const [to, from] = [viewOf(copy), viewOf(original)];
  for (const at of [MIN_TS, MAX_TS]) {
    to.setBigInt64(at, from.getBigInt64(at, true) + BigInt(byMs), true);
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
