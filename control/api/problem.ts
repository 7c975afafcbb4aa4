/** Problem documents (RFC 9457): the one form in which the API tells what went wrong. */
import { z } from 'zod';
import { ConfigurationError } from '../configuration/index.ts';
import { NatsFault } from '../nats.ts';
import { StoreError } from '../store/index.ts';
import { GatewayError } from './gateway.ts';

/** Every kind of problem: the last part of its `type`, its status and its title. */
export const problemKinds = {
  'bad-request': [400, 'The request is malformed'],
  unauthenticated: [401, 'A valid bearer token is required'],
  forbidden: [403, 'The token does not allow this'],
  'not-allowed': [403, 'The policy of this deployment does not allow this'],
  'not-found': [404, 'There is no such thing'],
  'method-not-allowed': [405, 'The path does not support this method'],
  conflict: [409, 'The request does not fit the present state'],
  'too-large': [413, 'The body is too large'],
  'unsupported-media-type': [415, 'The body is of an unsupported media type'],
  'invalid-configuration': [422, 'The configuration is invalid'],
  'invalid-request': [422, 'The request has invalid values'],
  'too-many-edits': [429, 'The configuration was changed too often'],
  internal: [500, 'An internal error occurred'],
  unavailable: [503, 'A service that this needs is not available'],
  timeout: [504, 'The answer took too long'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemKind = keyof typeof problemKinds;

const problemItem = z.object({
  rule: z.string().describe('Id of the rule, or #n for the n-th; empty: the whole document'),
  field: z.string(),
  column: z.int().positive().optional().describe('1-based, in characters of `text`'),
  text: z.string().optional(),
  message: z.string(),
});

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    problems: z.array(problemItem).optional(),
  })
  .describe('A problem document (RFC 9457)');

export type ProblemDocument = z.output<typeof problemSchema>;

export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly document: ProblemDocument;

  constructor(kind: ProblemKind, detail: string, problems?: ProblemDocument['problems']) {
    super(detail);
    const [status, title] = problemKinds[kind];
    const type = `urn:ratchet:problem:${kind}`;
    this.document = { type, title, status, detail, ...(problems && { problems }) };
  }
}

/** A response whose body is the problem document. */
export function problemResponse(problem: ApiProblem): Response {
  const { status } = problem.document;
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="ratchet"';
  if (status === 503) headers['retry-after'] = '2';
  if (status === 429) headers['retry-after'] = '60';
  return new Response(JSON.stringify(problem.document), { status, headers });
}

/** Turns what a handler threw into a problem; what nobody foresaw tells nothing of itself. */
export function toProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  if (error instanceof ConfigurationError) {
    return new ApiProblem('invalid-configuration', error.message, [...error.problems]);
  }
  if (error instanceof GatewayError) return new ApiProblem(gatewayKinds[error.code], error.message);
  if (error instanceof NatsFault) {
    const kind = natsKinds[error.code];
    return kind === 'internal' ? internal() : new ApiProblem(kind, error.message);
  }
  if (error instanceof StoreError && error.code === 'missing') {
    return new ApiProblem('not-found', error.message);
  }
  return internal();
}

const gatewayKinds = {
  unknown: 'not-found',
  conflict: 'conflict',
  invalid: 'invalid-request',
  unavailable: 'unavailable',
  timeout: 'timeout',
} as const;

const natsKinds = {
  unavailable: 'unavailable',
  conflict: 'conflict',
  missing: 'unavailable',
  denied: 'internal',
  invalid: 'internal',
  'too-many': 'too-many-edits',
} as const;

function internal(): ApiProblem {
  return new ApiProblem('internal', 'The log of the control plane tells more');
}

/** The problems of a body or a query that does not fit its schema. */
export function invalidRequest(error: z.ZodError): ApiProblem {
  const problems = error.issues.map((issue) => {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [];
    const field = [...issue.path.map(String), ...keys].join('.') || 'body';
    return { rule: '', field, message: issue.message };
  });
  const first = problems[0];
  const detail = first === undefined ? 'invalid' : `${first.field}: ${first.message}`;
  return new ApiProblem('invalid-request', detail, problems);
}
