/** All searches of a run, one after the other: timings would disturb each other. */
import { z } from 'zod';
import type { Workload } from '../workloads/workloads.ts';
import type { Arm } from './arms.ts';
import type { Book } from './book.ts';
import { budgetOf, type CaseName, CONTROLLED, TOLD, workloadsOf } from './cases.ts';
import type { Pace, Run } from './report.ts';
import { runSearch, type Step, type Tools } from './run.ts';
import { makeFleetSubject, makeSubject, type Subject } from './subject.ts';

export interface Job {
  case: CaseName;
  arms: readonly Arm[];
  seed: number;
}

interface Wanted {
  cases: readonly CaseName[];
  arms: readonly Arm[];
  seeds: number;
}

/** Seed by seed, so that a run that is stopped has something of every case. */
export function jobsOf({ cases, arms, seeds }: Wanted): Job[] {
  const armsOf = (name: CaseName) =>
    arms.filter((arm) => arm === 'search' || CONTROLLED.includes(name));
  return Array.from({ length: seeds }, (_, index) => index + 1).flatMap((seed) =>
    cases
      .map((name) => ({ case: name, arms: armsOf(name), seed }))
      .filter((job) => job.arms.length > 0),
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
const BUILD_SECONDS = 1;
const MEMBER_SECONDS = 0.8;
/** A race of several modules, with what comes before it is timed. */
const RACE_SECONDS = 18;
/** Between seeds of traffic that modules are chosen by and of that which they are told by. */
const UNMET = 1_000;

export async function runJobs(
  tools: Tools,
  book: Book,
  schedule: Schedule,
): Promise<{ runs: Run[]; pace: Pace }> {
  schedule.say(`about ${minutesOf(schedule)} minutes, less what was measured before`);
  const runs: Run[] = [];
  for (const job of schedule.jobs) runs.push(...(await runJob(tools, book, schedule, job)));
  const paces = book.all('pace/', paceSchema);
  const sum = (of: (pace: Pace) => number) => paces.reduce((total, each) => total + of(each), 0);
  return { runs, pace: { candidates: sum((each) => each.candidates), ms: sum((each) => each.ms) } };
}

export function minutesOf({ jobs, evaluations, organizations }: Omit<Schedule, 'say'>): number {
  const seconds = jobs.flatMap(({ case: name, arms }) => {
    const searched = workloadsOf(name, 1, organizations).length;
    // One search for all of them: they share what is built, and each is measured.
    const each = (arm: Arm) =>
      name === 'fleet' ? BUILD_SECONDS / searched + MEMBER_SECONDS : SECONDS[arm];
    // One at the end of each search, and one of all arms; a fleet module only where it is told.
    const races = name === 'fleet' ? TOLD.length : searched * (arms.length + 1);
    const searches = arms.map((arm) => searched * budgetOf(name, evaluations) * each(arm));
    return [...searches, races * RACE_SECONDS];
  });
  return Math.ceil(seconds.reduce((sum, each) => sum + each, 0) / 60);
}

async function runJob(tools: Tools, book: Book, schedule: Schedule, job: Job): Promise<Run[]> {
  const workloads = workloadsOf(job.case, job.seed, schedule.organizations);
  if (job.case === 'fleet') return [await runFleet(tools, book, schedule, job, workloads)];
  const runs: Run[] = [];
  for (const workload of workloads) {
    const { store } = tools.deps;
    const subject = await makeSubject(store, workload, schedule.messages, job.seed);
    const own: Run[] = [];
    for (const arm of job.arms) own.push(await runOne(tools, book, schedule, job, arm, subject));
    const ratios = await raceUnmet(tools, schedule, workload, job.seed, own);
    runs.push(
      ...own.map((run) => ({ ...run, steps: run.steps.map((step) => told(step, ratios)) })),
    );
  }
  return runs;
}

async function runFleet(
  tools: Tools,
  book: Book,
  schedule: Schedule,
  job: Job,
  workloads: readonly Workload[],
): Promise<Run> {
  const { seed } = job;
  const { store } = tools.deps;
  const subject = await makeFleetSubject(store, workloads, schedule.messages, seed);
  const run = await runOne(tools, book, schedule, job, 'search', subject);
  const worth: Record<string, number> = {};
  for (const name of TOLD) {
    for (const workload of workloadsOf(name, seed, schedule.organizations)) {
      const last = run.steps.slice(-1);
      const ratios = await raceUnmet(tools, schedule, workload, seed, [{ steps: last }]);
      // Where nothing is better for all, the baseline serves.
      worth[name] = ratios.get(last[0]?.component ?? '') ?? 1;
      schedule.say(`fleet ${seed}: ${name} ${worth[name].toFixed(2)}`);
    }
  }
  return { ...run, worth };
}

/** All that were best at some time, on messages of the workload that none was chosen by. */
async function raceUnmet(
  { deps, measurer }: Tools,
  { messages }: Schedule,
  workload: Workload,
  seed: number,
  runs: readonly Pick<Run, 'steps'>[],
): Promise<Map<string, number>> {
  const unmet = await makeSubject(deps.store, workload, messages, seed + UNMET);
  const components = runs.flatMap(({ steps }) => steps.flatMap(({ component }) => component ?? []));
  return await measurer.race(unmet, components);
}

function told(step: Step, ratios: ReadonlyMap<string, number>): Step {
  const ratio = ratios.get(step.component ?? '');
  return ratio === undefined ? step : { ...step, told: ratio };
}

async function runOne(
  tools: Tools,
  book: Book,
  { evaluations: most, say }: Schedule,
  { case: of, seed }: Job,
  arm: Arm,
  subject: Subject,
): Promise<Run> {
  const evaluations = budgetOf(of, most);
  let began = performance.now();
  const name = `${subject.name} ${arm} ${seed}`;
  const finished = await runSearch(tools, { subject, arm, seed, evaluations }, (step, work) => {
    const ms = performance.now() - began;
    began = performance.now();
    // A generation that was known in part tells nothing about the pace.
    const whole = work.fresh > 0 && work.fresh === work.candidates;
    if (arm === 'search' && of !== 'fleet' && whole && step.evaluations > 0) {
      book.set(`pace/${name}/${step.evaluations}`, { candidates: work.fresh, ms });
    }
    if (work.fresh > 0) say(progress(name, step, evaluations, ms));
  });
  return { case: of, organization: subject.name, arm, seed, ...finished };
}

function progress(name: string, step: Step, evaluations: number, ms: number): string {
  const best = `best ${step.ratio.toFixed(2)} (${step.operator})`;
  return `${name}: ${step.evaluations}/${evaluations}, ${best}, ${(ms / 1_000).toFixed(1)} s`;
}
