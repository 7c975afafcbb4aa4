/** What the API asks of organizations; `temporal-gateway.ts` asks their workflows. */
import type {
  BudgetReply,
  BudgetRequest,
  ConfigureReply,
  ConfigureRequest,
  EvolveReply,
  EvolveRequest,
  OrganizationStatus,
  PauseReply,
  PauseRequest,
  RequestBase,
  RerunReply,
  RerunRequest,
  RollbackReply,
  RollbackRequest,
  SubmitReply,
  SubmitRequest,
} from '../../workflows/messages.ts';

/** A request and the id under which repeating it answers as the first time. */
export type Identified<Request> = Request & { request_id: string };

export interface OrganizationGateway {
  /** `null` when the organization has never been configured. */
  status(org: string): Promise<OrganizationStatus | null>;
  /** Starts the organization when it does not run yet. */
  configure(org: string, request: Identified<ConfigureRequest>): Promise<ConfigureReply>;
  evolve(org: string, request: Identified<EvolveRequest>): Promise<EvolveReply>;
  pause(org: string, request: Identified<PauseRequest>): Promise<PauseReply>;
  resume(org: string, request: Identified<RequestBase>): Promise<PauseReply>;
  rerunGeneration(org: string, request: Identified<RerunRequest>): Promise<RerunReply>;
  rollback(org: string, request: Identified<RollbackRequest>): Promise<RollbackReply>;
  submit(org: string, request: Identified<SubmitRequest>): Promise<SubmitReply>;
  setBudget(org: string, request: Identified<BudgetRequest>): Promise<BudgetReply>;
}

/**
 * `unknown`: no such organization, generation or version. `conflict`: not in the present state.
 * `invalid`: refused values. `unavailable`: Temporal is away. `timeout`: no worker answered.
 */
export type GatewayErrorCode = 'unknown' | 'conflict' | 'invalid' | 'unavailable' | 'timeout';

export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: GatewayErrorCode;

  constructor(code: GatewayErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
