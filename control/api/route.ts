/** One value describes a route: the app serves it, the OpenAPI document tells it. */
import type { z } from 'zod';
import type { WasiPolicy } from '../config.ts';
import type { EventsRequest, RatchetEvent } from '../events.ts';
import type { ContentStore } from '../store/index.ts';
import type { ActiveTable, ConfigurationTable } from '../tables.ts';
import type { OrganizationGateway } from './gateway.ts';
import type { GenerationRecords } from './records.ts';
import type { Principal, Role, TokenRegistry } from './tokens.ts';

/** Everything outside the API that it talks to. */
export interface ApiServices {
  gateway: OrganizationGateway;
  configurations: Pick<ConfigurationTable, 'read' | 'put' | 'organizations'>;
  active: Pick<ActiveTable, 'read'>;
  records: GenerationRecords;
  store: Pick<ContentStore, 'put' | 'get'>;
  events(request: EventsRequest): Promise<RatchetEvent[]>;
  tokens: TokenRegistry;
  /** Whether tenants may bring modules. */
  wasi: WasiPolicy;
  /** Names of what the API depends on, each `ok` or what is wrong. */
  health(): Promise<Record<string, string>>;
  now(): number;
}

export interface ApiRequest<Query, Body> {
  services: ApiServices;
  principal: Principal;
  /** The organization of the path; empty where the path has none. */
  org: string;
  params: Readonly<Record<string, string>>;
  query: Query;
  body: Body;
  /** Under this id a repeated request answers as the first time. */
  requestId: string;
}

export type Method = 'get' | 'put' | 'post';

export interface RouteDefinition<Query extends z.ZodType, Body extends z.ZodType> {
  method: Method;
  /** With parameters in braces, as in OpenAPI. */
  path: string;
  id: string;
  summary: string;
  role: Role;
  query: Query;
  /** `null` where there is no body. */
  body: Body | null;
  /**
   * `document`: the handler checks the body itself, and it may be YAML. `component`: it is handed
   * bytes.
   */
  bodyForm?: 'json' | 'document' | 'component';
  /** Absent: that of all routes. */
  bodyBytesMax?: number;
  reply: z.ZodType;
  status?: 200 | 202;
  /** For an organization alone, never for the fleet. */
  tenantsOnly?: boolean;
  /** Answers bytes instead of JSON. */
  replyType?: string;
  handle(request: ApiRequest<z.output<Query>, z.output<Body>>): Promise<unknown>;
}

/** A route whose types are checked where it is defined and forgotten where it is served. */
export type Route = RouteDefinition<z.ZodType, z.ZodType>;

export function route<Query extends z.ZodType, Body extends z.ZodType>(
  definition: RouteDefinition<Query, Body>,
): Route {
  return definition as unknown as Route;
}

/** Without the keys whose value is `undefined`, which JSON would drop anyway. */
export function compact<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
