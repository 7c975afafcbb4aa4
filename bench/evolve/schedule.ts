/** All searches of a run, one after the other: timings would disturb each other. */
import { z } from 'zod';
import type { Arm } from './arms.ts';
import type { Book } from './book.ts';
import { type CaseName, CONTROLLED, workloadsOf } from './cases.ts';
import type { Pace, Run } from './report.ts';
import { runSearch, type Step, type Tools } from './run.ts';
import { makeSubject, type Subject } from './subject.ts';

export interface Job {
  case: CaseName;
  arm: Arm;
  seed: number;
}

interface Wanted {
  cases: readonly CaseName[];
  arms: readonly Arm[];
  seeds: number;
}

/** Seed by seed, so that a run that is stopped has something of every case. */
export function jobsOf({ cases, arms, seeds }: Wanted): Job[] {
  return Array.from({ length: seeds }, (_, index) => index + 1).flatMap((seed) =>
    cases.flatMap((name) =>
      arms
        .filter((arm) => arm === 'search' || CONTROLLED.includes(name))
        .map((arm) => ({ case: name, arm, seed })),
    ),
  );
}

export interface Schedule {
  jobs: readonly Job[];
  evaluations: number;
  organizations: number;
  messages: number;
  say: (text: string) => void;
}

const paceSchema = z.object({ candidates: z.number(), ms: z.number() });
/** What a candidate takes that is not known yet, about; hill climbing measures one at a time. */
const SECONDS: Readonly<Record<Arm, number>> = { search: 2, independent: 2, sequential: 4 };

export async function runJobs(
  tools: Tools,
  book: Book,
  schedule: Schedule,
): Promise<{ runs: Run[]; pace: Pace }> {
  const { jobs, evaluations, organizations, messages, say } = schedule;
  const seconds = jobs.reduce((sum, { case: name, arm }) => {
    const searches = workloadsOf(name, 1, organizations).length;
    return sum + searches * evaluations * SECONDS[arm];
  }, 0);
  say(`about ${Math.ceil(seconds / 60)} minutes, less what was measured before`);
  const runs: Run[] = [];
  for (const job of jobs) {
    for (const workload of workloadsOf(job.case, job.seed, organizations)) {
      const subject = await makeSubject(tools.deps.store, workload, messages, job.seed);
      const finished = await runOne(tools, book, schedule, job, subject);
      runs.push({ ...job, organization: subject.name, ...finished });
    }
  }
  const paces = book.all('pace/', paceSchema);
  const sum = (of: (pace: Pace) => number) => paces.reduce((total, each) => total + of(each), 0);
  return { runs, pace: { candidates: sum((each) => each.candidates), ms: sum((each) => each.ms) } };
}

async function runOne(
  tools: Tools,
  book: Book,
  { evaluations, say }: Schedule,
  { arm, seed }: Job,
  subject: Subject,
) {
  let began = performance.now();
  const name = `${subject.name} ${arm} ${seed}`;
  return await runSearch(tools, { subject, arm, seed, evaluations }, (step, work) => {
    const ms = performance.now() - began;
    began = performance.now();
    // A generation that was known in part tells nothing about the pace.
    const whole = work.fresh > 0 && work.fresh === work.candidates;
    if (arm === 'search' && whole && step.evaluations > 0) {
      book.set(`pace/${name}/${step.evaluations}`, { candidates: work.fresh, ms });
    }
    if (work.fresh > 0) say(progress(name, step, evaluations, ms));
  });
}

function progress(name: string, step: Step, evaluations: number, ms: number): string {
  const best = `best ${step.ratio.toFixed(2)} (${step.operator})`;
  return `${name}: ${step.evaluations}/${evaluations}, ${best}, ${(ms / 1_000).toFixed(1)} s`;
}
