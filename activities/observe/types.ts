/** What stage `observe` takes and answers. */
import type { DriftLimits } from '../../evolver/drift.ts';
import type { ConfigurationRef } from '../../workflows/messages.ts';

/** A look at the traffic while a module serves. */
export interface ObserveInput {
  org: string;
  configuration: ConfigurationRef;
  /** Digest of the component that serves; null = none, which only the fleet may have. */
  module: string | null;
  /** Workflow time: it names the observation. */
  at_ms: number;
  messages_min: number;
  /** Of timing the module. */
  seconds: number;
  limits: DriftLimits;
}
export type ObserveVerdict = {
  verdict: 'steady' | 'moved' | 'shrunk' | 'insufficient';
  reason: string | null;
};
