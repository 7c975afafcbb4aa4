/** Rows as the tables of `schema/` hold them. */

type Text = string | null;
type Amount = number | null;

export interface StoredGeneration {
  id: string;
  org: string;
  configuration: string;
  number: number;
  rerun: number;
  parent: Text;
  random_before: string;
  random_after: Text;
  outcome: string;
  detail: Text;
  promoted: Text;
  commit_id: Text;
  epoch: number;
  plan: Text;
  inputs: Text;
  profile: Text;
  started_at_ms: number;
  ended_at_ms: Amount;
  candidate_count: number;
}

export interface StoredCandidate {
  id: string;
  generation: string;
  org: string;
  configuration: string;
  slot: number;
  island: number;
  parent: Text;
  mutator: string;
  operator: string;
  patch_kind: string;
  summary: string;
  model: Text;
  prompt: Text;
  transcript: Text;
  arm: Text;
  features: Text;
  source: string;
  syntax: Text;
  module: Text;
  module_size: Amount;
  build_ms: Amount;
  benchmark: Text;
  ratio_to_baseline: Amount;
  ratio: Amount;
  ratio_low: Amount;
  ratio_high: Amount;
  us_per_message: Amount;
  fuel_per_point: Amount;
  cost_usd: number;
  tokens_in: number;
  tokens_out: number;
  seconds: number;
  created_at_ms: number;
  children: number;
}

export interface StoredVerdict {
  gate: string;
  passed: number;
  verdict: string;
  text: Text;
  evidence: Text;
  at_ms: number;
}

export interface StoredPromotion {
  org: string;
  version: number;
  configuration: string;
  kind: 'promote' | 'rollback' | 'tombstone';
  candidate: Text;
  module: Text;
  manifest: Text;
  at_ms: number;
}

export interface StoredObservation {
  id: string;
  org: string;
  configuration: string;
  module: Text;
  profile: string;
  messages: number;
  distance: Amount;
  advantage: Amount;
  verdict: 'steady' | 'moved' | 'shrunk';
  reason: Text;
  at_ms: number;
}
