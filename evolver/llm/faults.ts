/** What keeps a model from being asked. An answer that is of no use is a verdict, not a fault. */

export type LlmFaultCode =
  /** the API refuses the key, or its account: no retry mends it */
  | 'auth'
  /** the API refuses the request as it is: no retry mends it */
  | 'bad-request'
  /** overloaded, rate limited, unreachable, broken streams: later it may work */
  | 'unavailable'
  /** the files of this program are not what it needs */
  | 'setup';

export class LlmFault extends Error {
  override readonly name = 'LlmFault';
  readonly code: LlmFaultCode;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number | null;

  constructor(code: LlmFaultCode, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** There is no money left for the next call: ends a conversation with a verdict. */
export class BudgetSpent extends Error {
  override readonly name = 'BudgetSpent';
}
