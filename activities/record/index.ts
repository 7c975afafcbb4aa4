/**
 * Stage `record`: verdicts and figures into the archive, sources into the lineage, and the end of a
 * generation.
 */

import { seedRandom } from '../../evolver/random.ts';
import { type Features, instructionMix } from '../../evolver/search/features.ts';
import type { Deps } from '../deps.ts';
import { generationOf } from '../keys.ts';
import { charged, keepsLedger } from '../mutate/charged.ts';
import type {
  Activities,
  BenchmarkVerdict,
  CommitInput,
  Committed,
  Concluded,
  ConcludeInput,
  DemotionInput,
  GateRecord,
  ManifestInput,
  Recorded,
  RecordInput,
} from '../types.ts';
import { commitGeneration, tagVersion } from './commit.ts';

type Recording = Pick<
  Activities,
  'record' | 'commit' | 'conclude' | 'recordDemotion' | 'recordManifest'
>;
type Needs = Pick<Deps, 'archive' | 'lineage' | 'store' | 'now'> &
  /** Absent: nobody keeps a ledger. */
  Partial<Pick<Deps, 'mutators'>>;

export function recordActivities(deps: Needs): Recording {
  return {
    record: (input) => record(deps, input),
    commit: (input) => commit(deps, input),
    conclude: (input) => conclude(deps, input),
    recordDemotion: async (input) => demoted(deps, input),
    recordManifest: (input) => manifest(deps, input),
  };
}

interface ArchivedVerdict {
  gate: string;
  passed: boolean;
  verdict: string;
}

/** Verdicts of the benchmark on a module that is right. */
const TIMED: ReadonlySet<string> = new Set(['faster', 'slow', 'loses']);

/**
 * The archive keeps what a candidate is worth as a parent apart from whether it was promoted: one
 * that is correct but not faster, or that could not be asked about, failed at `promotion`, not at
 * the gate.
 */
export function archivedVerdicts({ gate, passed, verdict }: GateRecord): ArchivedVerdict[] {
  if (gate === 'benchmark' && TIMED.has(verdict)) {
    const timed = { gate, passed: true, verdict: 'timed' };
    return passed ? [timed] : [timed, { gate: 'promotion', passed: false, verdict }];
  }
  const wrong = gate !== 'signature' && (gate !== 'shadow' || verdict === 'fail');
  if (passed || wrong) return [{ gate, passed, verdict }];
  return [{ gate: 'promotion', passed: false, verdict }];
}

function writeVerdicts({ archive, now }: Needs, answers: GateRecord[]): void {
  for (const answer of answers) {
    for (const verdict of archivedVerdicts(answer)) {
      const { reason: text, evidence } = answer;
      archive.recordVerdict(answer.candidate, { ...verdict, text, evidence, atMs: now() });
    }
  }
}

async function record(deps: Needs, input: RecordInput): Promise<Recorded> {
  writeVerdicts(deps, input.answers);
  const measured = await measurements(deps, input.answers);
  for (const candidate of input.candidates) {
    const figures = measured.get(candidate.id);
    deps.archive.recordResult(candidate.id, {
      module: candidate.module,
      moduleSize: candidate.module === null ? null : await deps.store.size(candidate.module),
      buildMs: candidate.build_seconds === null ? null : candidate.build_seconds * 1_000,
      ratio: candidate.ratio,
      ci95: candidate.ci95,
      ratioToBaseline: candidate.ratio_to_baseline,
      benchmark: benchmarkEvidence(input.answers),
      features: componentFeatures(input.answers, candidate.id),
      ...figures,
    });
  }
  if (input.rerun > 0) compareWithFirst(deps, input);
  // Generations that were begun before the commit moved behind the shadow's answer commit here.
  if (input.commits_later === true) return { commit: null };
  const best = input.candidates
    .filter(({ state, ratio }) => state === 'open' && ratio !== null)
    .sort((left, right) => (right.ratio ?? 0) - (left.ratio ?? 0))[0];
  const winner = best?.id ?? null;
  const outcome = winner === null ? 'nothing faster' : 'faster';
  return await commitGeneration(deps, { ...input, seed: input.spec, winner, outcome });
}

/** The same source must have given the same component as in the first attempt, byte for byte. */
function compareWithFirst({ archive, now }: Needs, input: RecordInput): void {
  const first = archive.candidates(generationOf({ ...input, rerun: 0 }));
  for (const { id, index, module } of input.candidates) {
    const source = archive.candidate(id)?.source;
    const before = first.find((row) => row.slot === index && row.source === source);
    if (before === undefined || before.module === null || module === null) continue;
    const passed = before.module === module;
    const text = passed ? null : `${before.id} was ${before.module}, this is ${module}`;
    const verdict = { gate: 'replay', passed, verdict: passed ? 'same' : 'differs' };
    archive.recordVerdict(id, { ...verdict, text, atMs: now() });
  }
}

function benchmarkEvidence(answers: GateRecord[]): string | null {
  return answers.find(({ gate }) => gate === 'benchmark')?.evidence ?? null;
}

function componentFeatures(answers: GateRecord[], candidate: string): Features | null {
  const policy = answers.find((answer) => answer.candidate === candidate && answer.instructions);
  return policy?.instructions ? instructionMix(policy.instructions) : null;
}

/** Figures that the workflow does not carry are in the benchmark's evidence. */
async function measurements({ store }: Needs, answers: GateRecord[]) {
  const figures = new Map<string, { usPerMessage: number; fuelPerPoint: number }>();
  const digest = benchmarkEvidence(answers);
  if (digest === null) return figures;
  const evidence = JSON.parse(await store.getText(digest)) as { verdicts: BenchmarkVerdict[] };
  for (const verdict of evidence.verdicts) {
    if (!('us_per_message' in verdict)) continue;
    const { us_per_message: usPerMessage, fuel_per_point: fuelPerPoint } = verdict;
    figures.set(verdict.id, { usPerMessage, fuelPerPoint });
  }
  return figures;
}

async function commit(deps: Needs, input: CommitInput): Promise<Committed> {
  const { commit: id } = await commitGeneration(deps, input);
  deps.archive.recordCommit(generationOf(input), id);
  return { commit: id };
}

async function conclude(deps: Needs, input: ConcludeInput): Promise<Concluded> {
  const { archive, mutators = {} } = deps;
  const id = generationOf(input);
  const cost = charged(mutators, `${id}/c`);
  const { micro_usd, tokens_in, tokens_out } = cost;
  const spent = keepsLedger(mutators) ? { micro_usd, tokens: tokens_in + tokens_out } : null;
  const told = archive.generation(id)?.outcome ?? 'running';
  if (input.lost === true && told !== 'running') return { spent };
  if (archive.generation(id) === null) begin(deps, id, input.configuration.digest);
  writeVerdicts(deps, input.answers);
  book(deps, input, cost);
  const winner = input.candidates.find(({ state }) => state === 'promoted') ?? null;
  archive.endGeneration(id, {
    outcome: input.outcome,
    detail: input.detail,
    promoted: winner?.id ?? null,
    commit: input.commit,
    endedAtMs: deps.now(),
  });
  if (input.promoted !== null) {
    await promote(deps, { org: input.org, active: input.promoted }, winner?.id ?? null);
  }
  return { spent };
}

/** What a generation cost that ended before anything was admitted has a row all the same. */
function book({ archive, now }: Needs, input: ConcludeInput, cost: ReturnType<typeof charged>) {
  const id = generationOf(input);
  const rows = archive.candidates(id).length + archive.attempts(id).length;
  if (cost.micro_usd === 0 || rows > 0) return;
  const { outcome, detail } = input;
  archive.recordAttempt({
    ...{ id: `${id}/a1`, generation: id, mutator: 'llm', stage: 'mutate', outcome, detail },
    ...{ costUsd: cost.micro_usd / 1e6, tokensIn: cost.tokens_in, tokensOut: cost.tokens_out },
    atMs: now(),
  });
}

/** A generation that ended before it was planned is in the archive all the same. */
function begin({ archive, now }: Needs, id: string, configuration: string): void {
  const random = seedRandom(`${id}/${configuration}`);
  archive.startGeneration({ id, configuration, parent: null, random, startedAtMs: now() });
}

async function promote(deps: Needs, input: ManifestInput, candidate: string | null) {
  const { org, active } = input;
  deps.archive.recordPromotion({
    org,
    version: active.version,
    configuration: active.configuration,
    kind: active.kind,
    candidate,
    module: active.module,
    manifest: active.statement,
    atMs: active.issued_at_ms,
  });
  await tagVersion(deps, input, candidate);
}

async function manifest(deps: Needs, input: ManifestInput): Promise<void> {
  await promote(deps, input, candidateOf(deps, input.org, input.active.module));
}

function candidateOf({ archive }: Needs, org: string, module: string | null): string | null {
  if (module === null) return null;
  const found = archive.promotions(org).find((row) => row.module === module && row.candidate);
  return found?.candidate ?? null;
}

function demoted(deps: Needs, { org, module, reason }: DemotionInput): void {
  const candidate = candidateOf(deps, org, module);
  if (candidate === null) return;
  const verdict = { gate: 'live', passed: false, verdict: 'demoted', text: reason };
  deps.archive.recordVerdict(candidate, { ...verdict, atMs: deps.now() });
}
