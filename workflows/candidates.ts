/**
 * The candidates of one generation and their transitions, pure.
 *
 *   open ──a gate refuses──► rejected
 *   open ──shadow passes, signed, published, confirmed──► promoted
 *   open ──the generation ends──► passed
 *
 * Gates are passed in order: a candidate's gate never moves back.
 */
import type {
  BenchmarkVerdict,
  BuildVerdict,
  CandidateSource,
  GateRecord,
  Measurement,
  ModuleVerdict,
  Proof,
  ProvedCandidate,
  ShadowVerdict,
  SourceVerdict,
} from '../activities/types.ts';
import { promotionOrder } from '../evolver/promotion.ts';
import type { Instructions } from '../evolver/search/features.ts';
import type { CandidateOutcome, Gate, GenerationOutcome, Ref } from './messages.ts';
import { clip } from './summary.ts';

export const GATES: readonly Gate[] = [
  'source',
  'build',
  'module',
  'proof',
  'benchmark',
  'shadow',
  'signature',
];

/**
 * What the workflow holds of a candidate: the outcome that is shown, and the references it works
 * with.
 */
export interface Candidate {
  outcome: CandidateOutcome;
  source: Ref;
  /** Its component must be one that is not known yet. */
  novel: boolean;
  component: Ref | null;
  /** What the component was linked with. */
  linked: Ref | null;
  proof: Proof | null;
  /** Digest of what a model was asked; null = no model made it. */
  prompt: string | null;
  model: string | null;
}

/** One gate's answer, whatever the gate. */
export interface GateAnswer {
  gate: Gate;
  pass: boolean;
  verdict: string;
  reason: string | null;
  evidence: string | null;
  seconds: number | null;
  /** What was counted in the component, for the archive. */
  instructions?: Instructions;
}

export const REASON_MAX = 200;

/** What was proposed here, or what a tenant brought. */
type Opened = Omit<CandidateSource, 'mutator'> & Pick<CandidateOutcome, 'mutator'>;

export function openCandidate(from: Opened): Candidate {
  return {
    outcome: {
      id: from.id,
      index: from.index,
      state: 'open',
      gate: null,
      verdict: null,
      reason: null,
      mutator: from.mutator,
      operator: clip(from.operator, 80),
      module: null,
      build_seconds: null,
      ratio: null,
      ci95: null,
      ratio_to_baseline: null,
    },
    source: from.source,
    // What was planned before novelty was asked for has no origin.
    novel: from.origin !== undefined && from.origin.patch !== 'again',
    component: null,
    linked: null,
    proof: null,
    prompt: from.origin?.prompt ?? null,
    model: from.origin?.model ?? null,
  };
}

/** Applies a gate's answer and gives the row that the archive keeps of it. */
export function answer(candidate: Candidate, given: GateAnswer): GateRecord {
  const { outcome } = candidate;
  if (outcome.state !== 'open') throw new Error(`candidate ${outcome.id} is ${outcome.state}`);
  const before = outcome.gate === null ? -1 : GATES.indexOf(outcome.gate);
  if (GATES.indexOf(given.gate) < before) {
    throw new Error(`candidate ${outcome.id} goes back from ${outcome.gate} to ${given.gate}`);
  }
  outcome.gate = given.gate;
  outcome.verdict = given.verdict;
  outcome.reason = given.reason === null ? null : clip(given.reason, REASON_MAX);
  if (!given.pass) outcome.state = 'rejected';
  return {
    candidate: outcome.id,
    gate: given.gate,
    passed: given.pass,
    verdict: given.verdict,
    reason: outcome.reason,
    evidence: given.evidence,
    seconds: given.seconds,
    ...(given.instructions && { instructions: given.instructions }),
  };
}

const plain = { reason: null, evidence: null, seconds: null };

/** Of a gate that has no more to say. */
export function passAnswer(gate: Gate, verdict = 'pass'): GateAnswer {
  return { ...plain, gate, pass: true, verdict };
}

export function sourceAnswer(verdict: SourceVerdict): GateAnswer {
  if (verdict.verdict === 'pass') return passAnswer('source');
  const reason = `${verdict.rule}: ${verdict.reason} (line ${verdict.line}:${verdict.column})`;
  return { ...plain, gate: 'source', pass: false, verdict: 'refused', reason };
}

export function buildAnswer(verdict: BuildVerdict): GateAnswer {
  const seconds = verdict.seconds;
  if (verdict.verdict === 'built') {
    const evidence = verdict.component.digest;
    if (verdict.twin !== undefined) {
      const reason = `the component of ${verdict.twin} again`;
      return { gate: 'build', pass: false, verdict: 'duplicate', reason, evidence, seconds };
    }
    return { gate: 'build', pass: true, verdict: 'built', reason: null, evidence, seconds };
  }
  const evidence = verdict.verdict === 'compile-error' ? verdict.log.digest : null;
  const { reason } = verdict;
  return { gate: 'build', pass: false, verdict: verdict.verdict, reason, evidence, seconds };
}

export function moduleAnswer(verdict: ModuleVerdict): GateAnswer {
  if (verdict.verdict === 'pass') {
    const { instructions } = verdict;
    return { ...passAnswer('module'), ...(instructions && { instructions }) };
  }
  const reason = `${verdict.rule}: ${verdict.reason}`;
  return { ...plain, gate: 'module', pass: false, verdict: 'refused', reason };
}

export function proofAnswer({ proof, evidence, seconds }: ProvedCandidate): GateAnswer {
  const { verdict } = proof;
  const pass = verdict !== 'refused';
  const reason = pass ? null : `${proof.reason}: ${proof.detail}`;
  return { gate: 'proof', pass, verdict, reason, evidence, seconds };
}

export function benchmarkAnswer(verdict: BenchmarkVerdict, evidence: string): GateAnswer {
  const pass = verdict.verdict === 'faster';
  const reason = 'reason' in verdict ? verdict.reason : figures(verdict);
  return { ...plain, gate: 'benchmark', pass, verdict: verdict.verdict, reason, evidence };
}

function figures({ ratio, ci95 }: Measurement): string {
  return `ratio ${ratio.toFixed(3)}, 95 % ${ci95.map((bound) => bound.toFixed(3)).join('–')}`;
}

export function shadowAnswer(verdict: ShadowVerdict): GateAnswer {
  const pass = verdict.verdict === 'pass';
  const reason = verdict.verdict === 'refused' ? `${verdict.reason}: ${verdict.detail}` : null;
  return { ...plain, gate: 'shadow', pass, verdict: verdict.verdict, reason };
}

/** A stage that could not be carried out for one candidate is that candidate's verdict. */
export function faultAnswer(gate: Gate, message: string): GateAnswer {
  return { ...plain, gate, pass: false, verdict: 'fault', reason: message };
}

export function measured(candidate: Candidate, verdict: BenchmarkVerdict): void {
  if (!('ratio' in verdict)) return;
  candidate.outcome.ratio = verdict.ratio;
  candidate.outcome.ci95 = verdict.ci95;
  candidate.outcome.ratio_to_baseline = verdict.ratio_to_baseline;
}

export function open(candidates: Candidate[]): Candidate[] {
  return candidates.filter((candidate) => candidate.outcome.state === 'open');
}

/**
 * Open candidates in the order in which the shadow service is asked about them; twins are asked
 * about once.
 */
export function shadowOrder(candidates: Candidate[], threshold: number): Candidate[] {
  const rows = open(candidates).flatMap((candidate) => {
    const { id, ratio, ci95 } = candidate.outcome;
    return ratio === null || ci95 === null ? [] : [{ id, ratio, ci95, candidate }];
  });
  const seen = new Set<string>();
  return promotionOrder(rows, threshold)
    .map((row) => row.candidate)
    .filter((candidate) => {
      const digest = candidate.component?.digest ?? candidate.outcome.id;
      const twin = seen.has(digest);
      seen.add(digest);
      return !twin;
    });
}

/** An earlier sibling that was built to the same component, still in the race. */
export function siblingTwin(candidates: Candidate[], of: Candidate, digest: string) {
  const before = candidates.slice(0, candidates.indexOf(of));
  const twin = open(before).find(({ component }) => component?.digest === digest);
  return twin?.outcome.id;
}

/** The generation is over: whoever is still open passed what it was asked. */
export function close(candidates: Candidate[]): CandidateOutcome[] {
  for (const candidate of open(candidates)) candidate.outcome.state = 'passed';
  return candidates.map((candidate) => candidate.outcome);
}

/** The outcome of a generation in which no candidate came as far as a signature. */
export function outcomeWithoutPromotion(candidates: Candidate[]): GenerationOutcome {
  const verdicts = candidates.map(({ outcome }) => `${outcome.gate}:${outcome.verdict}`);
  if (verdicts.includes('shadow:insufficient')) return 'insufficient';
  if (verdicts.some((verdict) => verdict.startsWith('shadow:'))) return 'shadow-failed';
  const timed = candidates.some(({ outcome }) => outcome.ratio !== null);
  return timed ? 'no-improvement' : 'no-candidate';
}

export function componentOf(candidate: Candidate): Ref {
  if (candidate.component === null) throw new Error(`${candidate.outcome.id} has no component`);
  return candidate.component;
}

export function linkedOf(candidate: Candidate): Ref {
  if (candidate.linked === null) throw new Error(`${candidate.outcome.id} was not linked`);
  return candidate.linked;
}

export function proofOf(candidate: Candidate): Proof {
  if (candidate.proof === null) throw new Error(`${candidate.outcome.id} is not proven`);
  return candidate.proof;
}
