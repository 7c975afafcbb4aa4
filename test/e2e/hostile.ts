/**
 * Candidates that must not get through, each made by one edit of a fast and honest source: so it
 * is the fault that stops them, not their speed.
 */
import { builtinMutator } from '../../evolver/builtin/index.ts';
import type { Mutator } from '../../evolver/mutator.ts';

export interface Hostile {
  name: string;
  edit: (honest: string) => string;
  /** The gates of which one has to stop it, and the words of its verdict. */
  gates: readonly string[];
  verdict: RegExp;
}

/** Every source of the built-in grammar decodes the points here. */
const DECODE = 'front.decode(m, times)?;';

export const hostiles: readonly Hostile[] = [
  {
    name: 'computes a wrong sum',
    edit: around('', 'front.value[0] += 1.0;'),
    gates: ['benchmark'],
    verdict: /diverged/,
  },
  {
    name: 'traps on rare input',
    edit: around(
      '',
      `if front.value.contains(&f64::INFINITY) {
         return Err(DecodeError::Overflow);
       }`,
    ),
    gates: ['shadow'],
    verdict: /^fail/,
  },
  {
    name: 'loops for ever',
    edit: around('while m.header().points > 0 { front.value.clear(); }', ''),
    gates: ['benchmark'],
    verdict: /trap/,
  },
  {
    name: 'allocates without end',
    edit: around(
      `let mut held: Vec<Vec<u64>> = Vec::new();
       while m.header().points > 0 { held.push(vec![1; 4096]); }`,
      '',
    ),
    gates: ['benchmark'],
    verdict: /trap/,
  },
  {
    name: 'keeps state between messages',
    edit: around(
      'let before = front.value.first().copied();',
      'if let Some(value) = before { front.value[0] = value; }',
    ),
    gates: ['benchmark', 'shadow'],
    verdict: /diverged|trap|^fail/,
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

/** Proposes the hostile sources one after another, then what the built-in mutator would. */
export function hostileMutator(): Mutator {
  const honest = builtinMutator();
  let next = 0;
  return {
    name: 'builtin',
    async propose(request) {
      const proposal = await honest.propose(request);
      const hostile = hostiles[next++];
      if (hostile === undefined) return proposal;
      return {
        ...proposal,
        source: hostile.edit(proposal.source),
        operator: `hostile:${hostile.name}`,
        summary: hostile.name,
      };
    },
  };
}

function around(before: string, after: string): (honest: string) => string {
  return (honest) => {
    if (!honest.includes(DECODE)) throw new Error(`a source without "${DECODE}"`);
    return honest.replace(DECODE, `${before}\n${DECODE}\n${after}`);
  };
}
