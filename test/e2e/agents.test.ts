/**
 * Senders that others wrote: the exporters of the OpenTelemetry SDK and a Prometheus-compatible
 * agent. What they send lies in the INGEST stream, value by value, and becomes values of rules.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Metadata } from '@grpc/grpc-js';
import type { ExportResult } from '@opentelemetry/core';
import { OTLPMetricExporter as GrpcExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtobufExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics';
import { type DevelopmentTokens, ensureTokens } from '../../control/api/tokens.ts';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { findExecutable } from '../../control/stack/executables.ts';
import { connectNats } from '../../control/stack/index.ts';
import type { Service } from '../../control/stack/service.ts';
import { ConfigurationTable } from '../../control/tables.ts';
import { call } from './agents/grpc.ts';
import { openShop, type Shop } from './agents/shop.ts';
import { type Sent, Stored } from './agents/stored.ts';
import { startVmagent } from './agents/vmagent.ts';
import { type Rig, startRig, until } from './support.ts';

type Protocol = 'json' | 'protobuf' | 'grpc';
const protocols: readonly Protocol[] = ['json', 'protobuf', 'grpc'];
/** Why there is no vmagent, where the launcher could not get one. */
const skip = process.env.RATCHET_VMAGENT_MISSING ?? false;
let rig: Rig;
let tokens: DevelopmentTokens;
let stored: Stored;

before(async () => {
  rig = await startRig(['nats', 'aggregator']);
  tokens = await ensureTokens(rig.stack.stateDir, [...protocols, 'agent'], 'http://127.0.0.1:1');
  stored = await Stored.open(rig.stack);
  await configure();
});

after(async () => {
  await stored?.close();
  await rig?.dispose();
});

const windowMs = 5_000;

/** One rule an organization; returns when all windows that begin from now on are served. */
async function configure(): Promise<void> {
  const { addresses, secrets } = rig.stack;
  const connection = await connectNats(addresses.nats, 'control', secrets.password('control'));
  const table = await ConfigurationTable.open(connection);
  const rule = { id: 'orders', filter: '*', group_by: ['item'], window: '5s' };
  let from = 0;
  for (const org of protocols) {
    const rules = [{ ...rule, metric: 'orders', aggregate: 'sum' as const }];
    const put = await table.put(compileConfiguration(org, rules), Date.now());
    from = Math.max(from, put.stored.effectiveFromMs);
  }
  const rules = [{ ...rule, metric: 'shop_orders_total', aggregate: 'max' as const }];
  const put = await table.put(compileConfiguration('agent', rules), Date.now());
  await connection.close();
  await sleep(Math.max(from, put.stored.effectiveFromMs) + windowMs - Date.now());
}

function exporterOf(protocol: Protocol, token: string): PushMetricExporter {
  const { ingest, ingestGrpc } = rig.stack.addresses;
  const compression = CompressionAlgorithm.GZIP;
  if (protocol === 'grpc') {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    return new GrpcExporter({ url: `http://${ingestGrpc}`, metadata, compression });
  }
  const headers = { authorization: `Bearer ${token}` };
  const options = { url: `${ingest}/v1/metrics`, headers, compression };
  return protocol === 'json' ? new JsonExporter(options) : new ProtobufExporter(options);
}

function meters(exporter: PushMetricExporter) {
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ 'service.name': 'cart' }),
    readers: [reader],
    views: [
      {
        instrumentName: 'wait',
        aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
      },
    ],
  });
  return { provider, reader, meter: provider.getMeter('shop', '1.0') };
}

/** The values of the series with these tags and perhaps others, in stream order. */
function valuesOf(points: readonly Sent[], metric: string, tags: Record<string, string> = {}) {
  const wanted = Object.entries(tags);
  return points
    .filter((point) => point.metric === metric)
    .filter((point) => wanted.every(([key, value]) => point.tags[key] === value))
    .map(({ value }) => value);
}

for (const protocol of protocols) {
  test(`the SDK's ${protocol} exporter`, { timeout: 60_000 }, async () => {
    const { provider, meter } = meters(exporterOf(protocol, tokens.producers[protocol] ?? ''));
    const orders = meter.createCounter('orders');
    const load = meter.createGauge('load');
    const open = meter.createUpDownCounter('carts.open');
    const seconds = meter.createHistogram('seconds', {
      advice: { explicitBucketBoundaries: [0.5, 2] },
    });
    const wait = meter.createHistogram('wait');
    const tea = { item: 'tea' };
    orders.add(3, tea);
    load.record(0.75);
    open.add(5);
    for (const value of [0.1, 1, 3]) seconds.record(value);
    wait.record(3);
    // A series that is as old as its first point is one of which nobody knows when it began.
    await sleep(10);
    await provider.forceFlush();
    orders.add(4, tea);
    load.record(0.5);
    open.add(-2);
    seconds.record(1.5);
    await provider.forceFlush();
    await provider.shutdown();

    const points = await stored.points(protocol);
    const values = (metric: string, tags = {}) => valuesOf(points, metric, tags).slice(0, 2);
    // The shutdown exports once more: what only counts up has not risen since.
    const increases = (metric: string, tags = {}) => {
      const [first, second, ...more] = valuesOf(points, metric, tags);
      assert.ok(
        more.every((value) => value === 0),
        `${metric}: ${more}`,
      );
      return [first, second];
    };
    assert.deepEqual(increases('orders', tea), [3, 4]);
    assert.deepEqual(values('load'), [0.75, 0.5]);
    assert.deepEqual(values('carts.open'), [5, 3]);
    assert.deepEqual(increases('seconds_count'), [3, 1]);
    assert.deepEqual(increases('seconds_sum'), [4.1, 1.5]);
    assert.deepEqual(increases('seconds_bucket', { le: '0.5' }), [1, 0]);
    assert.deepEqual(increases('seconds_bucket', { le: '2' }), [2, 1]);
    assert.deepEqual(increases('seconds_bucket', { le: '+Inf' }), [3, 1]);
    assert.deepEqual(increases('wait_bucket', { le: '2' }), [0, 0]);
    assert.deepEqual(increases('wait_bucket', { le: '4' }), [1, 0]);
    const { tags } = points.find(({ metric }) => metric === 'orders') as Sent;
    assert.deepEqual(tags, {
      item: 'tea',
      'otel.scope.name': 'shop',
      'otel.scope.version': '1.0',
      'service.name': 'cart',
    });
  });

  test(`the SDK's ${protocol} exporter is told that its token is wrong`, async () => {
    const exporter = exporterOf(protocol, 'wrong');
    const { provider, reader, meter } = meters(exporter);
    meter.createCounter('forged').add(1);
    const { resourceMetrics } = await reader.collect();
    const { error } = await new Promise<ExportResult>((resolve) => {
      exporter.export(resourceMetrics, resolve);
    });
    assert.match(String(error), /401|UNAUTHENTICATED|Unauthorized|not known/i);
    await provider.shutdown();
    assert.deepEqual(valuesOf(await stored.points(protocol), 'forged'), []);
  });
}

test('what the SDK sent becomes values of rules', { timeout: 90_000 }, async () => {
  for (const protocol of protocols) {
    const total = async () => {
      const emitted = valuesOf(await stored.emitted(protocol), 'orders', { item: 'tea' });
      return emitted.reduce((sum, value) => sum + value, 0);
    };
    await until(`the windows of ${protocol} are closed`, 60_000, async () => (await total()) >= 7);
    assert.equal(await total(), 7);
  }
});

test('calls of gRPC that no library makes', { timeout: 60_000 }, async () => {
  const authorization = `Bearer ${tokens.producers.grpc}`;
  const bomb = gzipSync(Buffer.alloc(60_000_000));
  const empty = new Uint8Array(0);
  const wrongScheme = { authorization: 'Basic YTpi' };
  const coded = { authorization, 'grpc-encoding': 'gzip' };
  const cases: [string, Parameters<typeof call>[1], number, RegExp][] = [
    ['nothing to store', { message: empty, headers: { authorization } }, 0, /^$/],
    ['no token', { message: empty }, 16, /bearer token/],
    ['another scheme', { message: empty, headers: wrongScheme }, 16, /bearer token/],
    ['a wrong token', { message: empty, headers: { authorization: 'Bearer x' } }, 16, /not known/],
    ['another method', { path: '/a.B/C', message: empty, headers: { authorization } }, 12, /a\.B/],
    ['no protobuf', { message: Buffer.from('x'), headers: { authorization } }, 3, /not an export/],
    ['a bomb', { message: bomb, compressed: true, headers: coded }, 8, /more than/],
    ['no gzip', { message: Buffer.from('x'), compressed: true, headers: coded }, 3, /not gzip/],
    [
      'another encoding',
      { message: empty, headers: { authorization, 'grpc-encoding': 'br' } },
      12,
      /only gzip/,
    ],
    [
      'compressed without saying how',
      { message: bomb, compressed: true, headers: { authorization } },
      3,
      /does not say how/,
    ],
  ];
  for (const [what, sent, status, expected] of cases) {
    const answer = await call(rig.stack.addresses.ingestGrpc, sent);
    assert.equal(answer.status, status, `${what}: ${answer.message}`);
    assert.match(decodeURIComponent(answer.message), expected, what);
  }
});

test('vmagent scrapes and writes, also while NATS is away', {
  timeout: 180_000,
  skip,
}, async () => {
  const shop = await openShop();
  const agent = await startAgent(shop);
  try {
    await until('five scrapes are stored', 60_000, async () => {
      return valuesOf(await stored.points('agent'), 'shop_scrape').length >= 5;
    });
    await checkWindow();
    await rig.stack.restart('nats', { signal: 'SIGKILL', downMs: 3_000 });
    const away = shop.scrapes();
    // What was refused while NATS was away comes after what was scraped later.
    await until('all scrapes are stored, later ones too', 90_000, async () => {
      const points = await stored.points('agent');
      checkScrapes(points);
      return Math.max(...valuesOf(points, 'shop_scrape')) >= away + 3;
    });
  } finally {
    await agent.stop();
    await shop.close();
  }
});

/** The first window that is closed holds the greatest value of those that lie in it. */
async function checkWindow(): Promise<void> {
  await until('a window is closed', 60_000, async () => {
    return (await stored.emitted('agent')).length > 0;
  });
  const first = (await stored.emitted('agent'))[0] as Sent;
  assert.deepEqual([first.metric, first.tags], ['orders', { item: 'tea' }]);
  const inside = (await stored.points('agent')).filter(({ ts }) => {
    return ts >= first.ts && ts < first.ts + windowMs;
  });
  assert.equal(first.value, Math.max(...valuesOf(inside, 'shop_orders_total', { item: 'tea' })));
}

function startAgent(shop: Shop): Promise<Service> {
  return startVmagent({
    executable: findExecutable('vmagent'),
    directory: join(rig.stack.stateDir, 'vmagent'),
    target: shop.address,
    url: `${rig.stack.addresses.ingest}/api/v1/write`,
    token: tokens.producers.agent ?? '',
  });
}

/**
 * Every scrape is there, once, with all that it said; but those that vmagent itself gave up,
 * because the answer came too late: it says of each scrape whether it succeeded.
 */
function checkScrapes(points: readonly Sent[]): void {
  const tags = { job: 'shop', zone: 'a' };
  const scrapes = valuesOf(points, 'shop_scrape', tags).sort((a, b) => a - b);
  const up = valuesOf(points, 'up', tags);
  const succeeded = up.filter((value) => value === 1).length;
  assert.equal(new Set(scrapes).size, succeeded, `scrapes ${scrapes}, of each whether: ${up}`);
  assert.equal(scrapes.length, succeeded, `scrapes ${scrapes}`);
  const missing = Math.max(...scrapes) - scrapes.length;
  assert.ok(missing <= up.length - succeeded, `scrapes ${scrapes}, of each whether: ${up}`);
  const sorted = (metric: string, more = {}) =>
    valuesOf(points, metric, { ...tags, ...more }).sort((a, b) => a - b);
  const times = (factor: number) => scrapes.map((scrape) => scrape * factor);
  assert.deepEqual(sorted('shop_orders_total', { item: 'tea' }), times(10));
  assert.deepEqual(sorted('shop_seconds_bucket', { le: '0.5' }), times(1));
  assert.deepEqual(sorted('shop_seconds_bucket', { le: '+Inf' }), times(2));
  assert.deepEqual(sorted('shop_seconds_sum'), times(1.5));
  assert.deepEqual(sorted('shop_seconds_count'), times(2));
}
