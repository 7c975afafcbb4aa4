import { z } from 'zod';
import { problemSchema } from './problem.ts';
import type { Route } from './route.ts';
import { health } from './schemas.ts';

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of the routes, made from the schemas that check requests. */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    paths[route.path] = { ...path, [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Ratchet',
      version,
      description: 'Configure organizations, and watch and steer the evolution of their modules.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ bearer: [] }],
    paths: { ...paths, ...openPaths() },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: json(problemSchema, 'output') },
      parameters: { IdempotencyKey: idempotencyKey },
    },
  };
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  schema: { type: 'string', pattern: '^[A-Za-z0-9._:-]{1,100}$' },
  description: 'A request repeated with the same key and body takes effect once.',
};

function operation(route: Route): Json {
  const changes = route.method !== 'get';
  return {
    operationId: route.id,
    summary: route.summary,
    description: `Needs the role \`${route.role}\`.`,
    parameters: [
      ...pathParameters(route.path),
      ...queryParameters(route.query),
      ...(changes ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []),
    ],
    ...(route.body === null ? {} : { requestBody: requestBody(route, route.body) }),
    responses: {
      [route.status ?? 200]: {
        description: 'Done',
        content: {
          [route.replyType ?? 'application/json']: { schema: json(route.reply, 'output') },
        },
      },
      default: {
        description: 'A problem document',
        content: {
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
      },
    },
  };
}

const parameterSchemas: Record<string, Json> = {
  org: { type: 'string', pattern: '^[a-z0-9-]{1,63}$' },
  generation: { type: 'integer', minimum: 1 },
  digest: { type: 'string', pattern: '^[0-9a-f]{64}$' },
};

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: parameterSchemas[name] ?? { type: 'string' },
  }));
}

function queryParameters(query: z.ZodType): Json[] {
  const { properties } = json(query, 'output') as { properties?: Record<string, Json> };
  return Object.entries(properties ?? {}).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: false,
    schema,
    ...(description === undefined ? {} : { description }),
  }));
}

function requestBody(route: Route, body: z.ZodType): Json {
  if (route.bodyForm === 'component') {
    const schema = { type: 'string', format: 'binary' };
    return { required: true, content: { 'application/wasm': { schema } } };
  }
  const content = { schema: json(body, 'input') };
  const yaml = route.bodyForm === 'document' ? { 'application/yaml': content } : {};
  return {
    required: route.bodyForm === 'document',
    content: { 'application/json': content, ...yaml },
  };
}

/** What needs no token. */
function openPaths(): Record<string, Json> {
  const get = (operationId: string, summary: string, type: string, schema: Json) => ({
    get: {
      operationId,
      summary,
      security: [],
      responses: { 200: { description: 'Done', content: { [type]: { schema } } } },
    },
  });
  const text = { type: 'string' };
  return {
    '/openapi.json': get('openapi', 'This document', 'application/json', { type: 'object' }),
    '/healthz': get(
      'health',
      'Whether the process can serve; status 503 when not',
      'application/json',
      json(health, 'output'),
    ),
    '/metrics': get('metrics', 'Prometheus metrics of the process', 'text/plain', text),
  };
}

function json(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' });
  return rest as Json;
}
