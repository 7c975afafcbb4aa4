/** What stage `challenge` takes and answers. */
import type { ConfigurationRef } from '../../workflows/messages.ts';

/** The fleet's module against a tenant's own, on the tenant's training messages. */
export interface ChallengeInput {
  org: string;
  configuration: ConfigurationRef;
  /** Digest of the component that serves. */
  module: string;
  /** Workflow time: it names the challenge. */
  at_ms: number;
  messages_min: number;
  seconds: number;
  /** It stays while the lower bound of its ratio is not below this. */
  ratio_min: number;
}
export interface ChallengeVerdict {
  /**
   * `unchallenged`: no module of the fleet is published. `wrong`: the fleet's is not right for this
   * organization; its own stays, and live messages will demote the other.
   */
  verdict: 'ahead' | 'overtaken' | 'insufficient' | 'unchallenged' | 'wrong';
  /** Of the tenant's module to the fleet's. */
  ratio: number | null;
  ci95: [number, number] | null;
  /** The version that challenged. */
  fleet: number | null;
}
