/** An operator: one choice in the design of an aggregation, with the alternatives known for it. */
import type { TrafficProfile } from '../profile.ts';
import type { Tables } from '../spec/tables.ts';

export interface Setting {
  value: string;
  /**
   * Before anything is measured: how likely a first design takes it. Never 0: a bad choice stays
   * reachable.
   */
  prior: number;
}

/**
 * What an operator may look at: shapes of the rules and of the traffic, never names or values. At
 * the level of the fleet there are no rules to look at, for the module serves whatever rules come.
 */
export type Situation = TenantSituation | FleetSituation;

export interface TenantSituation {
  level: 'tenant';
  tables: Tables;
  profile: TrafficProfile;
}

export interface FleetSituation {
  level: 'fleet';
  profile: TrafficProfile;
}

export interface Operator {
  name: string;
  /** What the choice is about, in a few words for people. */
  about: string;
  /** Whether the choice decides the whole way of working; fresh draws spread over these first. */
  structural?: true;
  /** The plain choice: that of the first form of a module. */
  plain: string;
  /** The alternatives whose preconditions hold. The plain one is always among them. */
  options(situation: Situation): Setting[];
  /** Whether the choice makes a difference beside the others of a genome. */
  matters(genes: Readonly<Record<string, string>>): boolean;
  /** Settings of the templates that the choice stands for, beside its own name and value. */
  apply?(value: string, situation: Situation): Record<string, string | string[]>;
}
