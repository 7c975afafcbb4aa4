/**
 * The HTTP API. A request passes, in order: the time limit, the token (401), the right to the route
 * and the organization (403), the size of its body (413), its schema (422), and its handler.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { routePath } from 'hono/route';
import { secureHeaders } from 'hono/secure-headers';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { FLEET } from '../../workflows/level.ts';
import { isOrganizationName } from '../configuration/index.ts';
import { parseDocumentText } from '../configuration/yaml.ts';
import { ApiMetrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { ApiProblem, invalidRequest, problemResponse, toProblem } from './problem.ts';
import type { ApiServices, Route } from './route.ts';
import { routes } from './routes.ts';
import { allows, type Principal } from './tokens.ts';

export interface ApiOptions {
  services: ApiServices;
  logger: Pick<Logger, 'info' | 'error'>;
  /** Told by the OpenAPI document. */
  version: string;
  timeoutMs?: number;
}

export const bodyBytesMax = 1024 * 1024;
const timeoutMsDefault = 30_000;
const tokenLengthMax = 512;

/** Where the guard leaves whom the token speaks for. */
interface ApiEnvironment {
  Variables: { principal: Principal };
}
export type Api = Hono<ApiEnvironment>;

export function createApi(options: ApiOptions): Api {
  const { services, logger } = options;
  const metrics = new ApiMetrics(services.now());
  const app = new Hono<ApiEnvironment>({ strict: true });
  app.use(secureHeaders());
  app.use(async (context, next) => {
    const started = performance.now();
    await next();
    const seconds = (performance.now() - started) / 1_000;
    const path = routePath(context, -1);
    metrics.observe(path, context.req.method, context.res.status, seconds);
    const { method } = context.req;
    logger.info({ method, path, status: context.res.status, seconds }, 'request');
  });
  app.onError((error) => {
    const problem = toProblem(error);
    if (problem.document.status === 500) logger.error({ err: error }, 'request failed');
    return problemResponse(problem);
  });
  app.notFound((context) => problemResponse(notFound(context.req.method, context.req.path)));
  serveOpenPaths(app, options, metrics);
  for (const route of routes) serveRoute(app, route, options);
  return app;
}

function serveOpenPaths(app: Api, options: ApiOptions, metrics: ApiMetrics): void {
  const document = openApiDocument(routes, options.version);
  app.get('/openapi.json', (context) => context.json(document));
  app.get('/metrics', (context) => context.text(metrics.text()));
  app.get('/healthz', async (context) => {
    const checks = await options.services.health();
    const ok = Object.values(checks).every((check) => check === 'ok');
    return context.json({ status: ok ? 'ok' : 'degraded', checks }, ok ? 200 : 503);
  });
}

function serveRoute(app: Api, route: Route, options: ApiOptions): void {
  const path = route.path.replace(/\{(\w+)\}/g, ':$1');
  const maxSize = route.bodyBytesMax ?? bodyBytesMax;
  const limit = bodyLimit({
    maxSize,
    onError: () => {
      throw new ApiProblem('too-large', `the limit is ${maxSize} bytes`);
    },
  });
  const guard: MiddlewareHandler<ApiEnvironment> = async (context, next) => {
    context.set('principal', await authorize(context, route, options.services));
    await next();
  };
  app.on(route.method.toUpperCase(), path, guard, limit, (context) => {
    const principal = context.get('principal');
    return inTime(options.timeoutMs ?? timeoutMsDefault, () =>
      answer(context, route, options.services, principal),
    );
  });
}

async function authorize(
  context: Context,
  route: Route,
  services: ApiServices,
): Promise<Principal> {
  const header = context.req.header('authorization') ?? '';
  const token = /^Bearer ([\x21-\x7e]+)$/i.exec(header)?.[1];
  if (token === undefined || token.length > tokenLengthMax) {
    throw new ApiProblem('unauthenticated', 'send the header "Authorization: Bearer <token>"');
  }
  const principal = await services.tokens.find(token);
  if (principal === null) throw new ApiProblem('unauthenticated', 'the token is not known');
  const org = context.req.param('org') ?? null;
  const fleet = route.tenantsOnly !== true && org === FLEET;
  if (org !== null && !isOrganizationName(org) && !fleet) {
    throw new ApiProblem('bad-request', `${JSON.stringify(org)} is not an organization name`);
  }
  if (!allows(principal, org, route.role)) {
    const whose = principal.org === '*' ? 'all organizations' : `organization ${principal.org}`;
    const held = `the token has the role ${principal.role} for ${whose}`;
    throw new ApiProblem('forbidden', `${held}; this needs ${route.role} for ${org ?? 'any'}`);
  }
  return principal;
}

async function answer(
  context: Context,
  route: Route,
  services: ApiServices,
  principal: Principal,
): Promise<Response> {
  const query = checked(route.query, context.req.query());
  const empty = new ArrayBuffer(0);
  const bytes = new Uint8Array(route.body === null ? empty : await context.req.arrayBuffer());
  const body = route.body === null ? undefined : readBody(context, route, route.body, bytes);
  const params = context.req.param() as Record<string, string>;
  const reply = await route.handle({
    services,
    principal,
    org: params.org ?? '',
    params,
    query,
    body,
    requestId: requestId(context, route, bytes),
  });
  const status = route.status ?? 200;
  if (route.replyType === undefined) return context.json(reply, status);
  const answered = Uint8Array.from(reply as Uint8Array);
  return context.body(answered, status, { 'content-type': route.replyType });
}

function readBody(context: Context, route: Route, schema: z.ZodType, bytes: Uint8Array): unknown {
  const type = (context.req.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase();
  if (route.bodyForm === 'component') {
    requireType(type, 'application/wasm');
    return bytes;
  }
  const text = new TextDecoder().decode(bytes);
  const yaml = type === 'application/yaml' || type === 'application/x-yaml' || type === 'text/yaml';
  if (route.bodyForm === 'document') {
    if (yaml) return parseDocumentText(text);
    requireJson(type, 'application/json or application/yaml');
    return parseJson(text);
  }
  if (text.trim() === '') return checked(schema, {});
  requireJson(type, 'application/json');
  return checked(schema, parseJson(text));
}

function requireJson(type: string | undefined, expected: string): void {
  if (type !== 'application/json') requireType(type, expected);
}

function requireType(type: string | undefined, expected: string): void {
  if (type === expected) return;
  const found = type === undefined || type === '' ? 'no content type' : type;
  throw new ApiProblem('unsupported-media-type', `${found}; send ${expected}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ApiProblem('bad-request', `the body is not JSON: ${reason}`);
  }
}

function checked<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalidRequest(result.error);
}

/** The same key with the same body is the same request; another body makes it another one. */
function requestId(context: Context, route: Route, bytes: Uint8Array): string {
  const key = context.req.header('idempotency-key') ?? randomUUID();
  if (!/^[A-Za-z0-9._:-]{1,100}$/.test(key)) {
    throw new ApiProblem('bad-request', 'Idempotency-Key must match [A-Za-z0-9._:-]{1,100}');
  }
  const body = createHash('sha256').update(`${context.req.path}\n`).update(bytes).digest('hex');
  return `${route.id}:${key}:${body.slice(0, 16)}`;
}

async function inTime<T>(limitMs: number, run: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const problem = new ApiProblem('timeout', `no answer within ${limitMs / 1_000} s`);
    timer = setTimeout(() => reject(problem), limitMs);
  });
  try {
    return await Promise.race([run(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function notFound(method: string, path: string): ApiProblem {
  const allowed = routes.filter((route) => pattern(route.path).test(path));
  if (allowed.length === 0) return new ApiProblem('not-found', `${path} is not a path of the API`);
  const methods = allowed.map((route) => route.method.toUpperCase()).join(', ');
  return new ApiProblem('method-not-allowed', `${method} ${path}: it supports ${methods}`);
}

function pattern(path: string): RegExp {
  return new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`);
}
