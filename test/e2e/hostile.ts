/** Candidates that must not get through, each made from the honest first form by one edit. */
import type { Mutator } from '../../evolver/mutator.ts';

export interface Hostile {
  name: string;
  edit: (honest: string) => string;
  /** The gates of which one has to stop it, and words of the verdict. */
  gates: readonly string[];
  verdict: RegExp;
}

const SUM = 'Kind::Sum | Kind::Avg => cell.value += value,';
const STATEFUL_SUM = `Kind::Sum | Kind::Avg => {
                self.held += 1;
                cell.value += if self.held > 5_000 { 2.0 * value } else { value };
            }`;
const BODY = 'm.pull_all()?;';

export const hostiles: readonly Hostile[] = [
  {
    name: 'computes a wrong sum',
    edit: replacing(SUM, 'Kind::Sum | Kind::Avg => cell.value = value + cell.value + 1.0,'),
    gates: ['benchmark'],
    verdict: /diverged/,
  },
  {
    name: 'traps on rare input',
    edit: replacing(
      'let value = front.value[point];',
      `let value = front.value[point];
       let _ = front.value[if value == f64::INFINITY { usize::MAX } else { point }];`,
    ),
    gates: ['shadow'],
    verdict: /fail/,
  },
  {
    name: 'loops for ever',
    edit: replacing(BODY, `while m.header().len > 0 { front.time.clear(); } ${BODY}`),
    gates: ['benchmark'],
    verdict: /trap|deadline|fuel/,
  },
  {
    name: 'allocates without end',
    edit: replacing(
      BODY,
      `let mut held: Vec<Vec<u64>> = Vec::new();
       while m.header().len > 0 { held.push(vec![1; 4096]); } ${BODY}`,
    ),
    gates: ['benchmark'],
    verdict: /trap|memory/,
  },
  {
    name: 'keeps state between messages',
    edit: (honest) =>
      [
        ['pub struct Lists {', 'pub struct Lists {\n    held: u32,'],
        ['literals: Literals::new(),', 'held: 0,\n            literals: Literals::new(),'],
        [SUM, STATEFUL_SUM],
      ].reduce((source, [from = '', to = '']) => replacing(from, to)(source), honest),
    gates: ['benchmark', 'shadow'],
    verdict: /diverged|fail/,
  },
  {
    name: 'is unsafe',
    edit: (honest) => `${honest}\nfn peek(p: *const u8) -> u8 {\n    unsafe { *p }\n}\n`,
    gates: ['source'],
    verdict: /refused/,
  },
  {
    name: 'includes a file',
    edit: (honest) => `${honest}\nconst HOSTS: &str = include_str!("/etc/hosts");\n`,
    gates: ['source'],
    verdict: /refused/,
  },
];

/** Proposes the hostile sources one after another, as if it had thought of them. */
export function hostileMutator(): Mutator {
  let next = 0;
  return {
    name: 'builtin',
    async propose({ parent, random }) {
      const hostile = hostiles[next++ % hostiles.length] as Hostile;
      const source = hostile.edit(parent.source);
      return { source, operator: `hostile:${hostile.name}`, summary: hostile.name, random };
    },
  };
}

function replacing(from: string, to: string): (honest: string) => string {
  return (honest) => {
    if (!honest.includes(from)) throw new Error(`the first form has no "${from}" any more`);
    return honest.replace(from, to);
  };
}
