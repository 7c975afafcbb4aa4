import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  connectNats,
  freePorts,
  type NatsUser,
  provision,
  type Stack,
  startStack,
} from '../../control/stack/index.ts';
import { streams } from '../../control/stack/nats/topology.ts';

const forbidden = ['INGEST', 'VALIDATION', 'AGGREGATES', 'LATE', 'MEASURED', 'KV_checkpoints'];
const subjects: Record<string, string> = {
  INGEST: 'ingest.0.acme',
  VALIDATION: 'validation.acme.0123456789abcdef',
  AGGREGATES: 'aggregates.acme',
  LATE: 'late.acme',
  KV_checkpoints: '$KV.checkpoints.partition.0',
  MEASURED: 'evt.acme.measured',
};

let state: string;
let stack: Stack;
const connections = {} as Record<NatsUser, NatsConnection>;

before(async () => {
  state = mkdtempSync(join(tmpdir(), 'ratchet-nats-'));
  stack = await startStack({ stateDir: state, ports: freePorts, services: ['nats'] });
  for (const user of ['admin', 'control', 'aggregator', 'producer', 'operator'] as const) {
    connections[user] = await connectNats(stack.addresses.nats, user, stack.secrets.password(user));
  }
});

after(async () => {
  for (const connection of Object.values(connections)) await connection.close();
  await stack?.stop();
  rmSync(state, { recursive: true, force: true });
});

/** The answer to a request, or why there was none. */
async function ask(user: NatsUser, subject: string, body: object | string = ''): Promise<string> {
  const data = typeof body === 'string' ? body : JSON.stringify(body);
  try {
    return (await connections[user].request(subject, data, { timeout: 2_000 })).string();
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}

async function refused(user: NatsUser, subject: string, body: object | string = '') {
  assert.match(await ask(user, subject, body), /permissions violation/i, `${user} ${subject}`);
}

async function subscriptionRefused(user: NatsUser, subject: string): Promise<void> {
  const error = await new Promise<Error | null>((resolve) => {
    const subscription = connections[user].subscribe(subject, { callback: (e) => resolve(e) });
    // The server answers a ping after it has answered the subscription.
    connections[user].flush().then(() => {
      subscription.unsubscribe();
      resolve(null);
    });
  });
  assert.match(error?.message ?? 'subscribed', /permissions violation/i, `${user} ${subject}`);
}

describe('provisioning', () => {
  test('creates every stream and bucket, and a second time changes nothing', async () => {
    const manager = await jetstreamManager(connections.admin);
    const names = await manager.streams.names().next();
    assert.deepEqual(names.sort(), streams.map((stream) => stream.name).sort());
    assert.deepEqual(await provision(connections.admin), { created: [], updated: [] });
  });

  test('brings a changed stream back', async () => {
    const manager = await jetstreamManager(connections.admin);
    const { config } = await manager.streams.info('EVENTS');
    await manager.streams.update('EVENTS', { ...config, max_bytes: 1_000_000 });
    assert.deepEqual(await provision(connections.admin), { created: [], updated: ['EVENTS'] });
    assert.deepEqual(await provision(connections.admin), { created: [], updated: [] });
  });

  test('keys and passwords are private', () => {
    const files = [
      ...Object.values(stack.secrets.keys),
      stack.secrets.passwordFile('control'),
      join(state, 'nats', 'nats.conf'),
    ];
    for (const file of files) assert.equal(statSync(file).mode & 0o777, 0o600, file);
  });
});

describe('partitions', () => {
  test('a message on ingest.<org> is stored in its partition, always the same one', async () => {
    const js = jetstream(connections.producer);
    for (const org of ['acme', 'globex', 'acme', 'ratchet']) await js.publish(`ingest.${org}`, org);
    const manager = await jetstreamManager(connections.admin);
    const { state: stored } = await manager.streams.info('INGEST', { subjects_filter: '>' });
    const found = Object.entries(stored.subjects ?? {});
    assert.equal(found.length, 3);
    for (const [subject, count] of found) {
      assert.match(subject, /^ingest\.[0-3]\.(acme|globex|ratchet)$/);
      assert.equal(count, subject.endsWith('acme') ? 2 : 1);
    }
  });

  test('a message of a spread organization goes to the partition that is named', async () => {
    const js = jetstream(connections.producer);
    await js.publish('ingest.3.vast', 'x');
    const manager = await jetstreamManager(connections.admin);
    const query = { subjects_filter: 'ingest.3.vast' };
    const { state: stored } = await manager.streams.info('INGEST', query);
    assert.deepEqual(stored.subjects, { 'ingest.3.vast': 1 });
    // Nobody reads a fifth.
    await assert.rejects(async () => js.publish('ingest.4.vast', 'x', { timeout: 1_000 }));
  });

  test('parts of windows are stored for the home, and only aggregators send them', async () => {
    const subject = 'parts.1.vast.2';
    await jetstream(connections.aggregator).publish(subject, 'x');
    const sent = async () =>
      jetstream(connections.producer).publish(subject, 'x', { timeout: 1_000 });
    await assert.rejects(sent);
  });

  test('only gateways hear who is behind, and only aggregators say it', async () => {
    const heard: string[] = [];
    const callback = (_: Error | null, { subject }: { subject: string }) => {
      heard.push(subject);
    };
    connections.producer.subscribe('behind.*', { callback, max: 1 });
    await connections.producer.flush();
    await refused('producer', 'behind.acme');
    await subscriptionRefused('aggregator', 'behind.*');
    connections.aggregator.publish('behind.acme');
    await connections.aggregator.flush();
    await connections.producer.flush();
    assert.deepEqual(heard, ['behind.acme']);
  });

  test('a repeated message id is stored once', async () => {
    const js = jetstream(connections.producer);
    assert.equal((await js.publish('ingest.acme', 'x', { msgID: 'one' })).duplicate, false);
    assert.equal((await js.publish('ingest.acme', 'x', { msgID: 'one' })).duplicate, true);
  });

  test('a full stream refuses what is new and keeps what it acknowledged', async () => {
    const manager = await jetstreamManager(connections.admin);
    const { config, state: held } = await manager.streams.info('INGEST');
    const max_bytes = held.bytes + 4_096;
    await manager.streams.update('INGEST', { ...config, max_bytes });
    const js = jetstream(connections.producer);
    const fill = async () => {
      for (let count = 0; count < 100; count++) await js.publish('ingest.acme', 'x'.repeat(1_000));
    };
    await assert.rejects(fill, /maximum bytes exceeded/);
    const { state: full } = await manager.streams.info('INGEST');
    assert.equal(full.first_seq, held.first_seq);
    assert.ok(full.messages > held.messages);
    assert.deepEqual((await provision(connections.admin)).updated, ['INGEST']);
    await js.publish('ingest.acme', 'there is room again');
  });
});

describe('the control plane is kept from held-back messages', () => {
  for (const stream of forbidden) {
    const subject = subjects[stream] ?? '';
    const first = `${subject.split('.')[0]}.>`;
    const consumer = { stream_name: stream, config: { name: 'spy', ack_policy: 'none' } };
    const doors: [string, string, object | string][] = [
      ['stream info', `$JS.API.STREAM.INFO.${stream}`, ''],
      ['stream get', `$JS.API.STREAM.MSG.GET.${stream}`, { seq: 1 }],
      ['direct get by sequence', `$JS.API.DIRECT.GET.${stream}`, { seq: 1 }],
      ['direct get by subject', `$JS.API.DIRECT.GET.${stream}.${subject}`, ''],
      ['consumer', `$JS.API.CONSUMER.CREATE.${stream}`, consumer],
      ['named consumer', `$JS.API.CONSUMER.CREATE.${stream}.spy`, consumer],
      ['filtered consumer', `$JS.API.CONSUMER.CREATE.${stream}.spy.${subject}`, consumer],
      ['durable consumer', `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.spy`, consumer],
      ['next message', `$JS.API.CONSUMER.MSG.NEXT.${stream}.partition-0`, '{"batch":1}'],
      ['consumer info', `$JS.API.CONSUMER.INFO.${stream}.partition-0`, ''],
      ['consumer names', `$JS.API.CONSUMER.NAMES.${stream}`, ''],
      ['consumer list', `$JS.API.CONSUMER.LIST.${stream}`, ''],
      ['consumer removal', `$JS.API.CONSUMER.DELETE.${stream}.partition-0`, ''],
      ['purge', `$JS.API.STREAM.PURGE.${stream}`, ''],
      ['removal', `$JS.API.STREAM.DELETE.${stream}`, ''],
      ['message removal', `$JS.API.STREAM.MSG.DELETE.${stream}`, { seq: 1 }],
      ['snapshot', `$JS.API.STREAM.SNAPSHOT.${stream}`, { deliver_subject: '_INBOX_control.s' }],
      ['acknowledgement', `$JS.ACK.${stream}.partition-0.1.1.1.1.0`, '+ACK'],
      ['mirror', '$JS.API.STREAM.CREATE.SPY', { name: 'SPY', mirror: { name: stream } }],
      ['source', '$JS.API.STREAM.CREATE.SPY', { name: 'SPY', sources: [{ name: stream }] }],
      [
        'source in a stream that it may read',
        '$JS.API.STREAM.UPDATE.TRAINING',
        { name: 'TRAINING', subjects: ['training.*.*'], sources: [{ name: stream }] },
      ],
      [
        'republish',
        `$JS.API.STREAM.UPDATE.${stream}`,
        { name: stream, republish: { src: '>', dest: '_INBOX_control.spy' } },
      ],
      ['publish', subject, 'forged'],
    ];
    for (const [door, target, body] of doors) {
      test(`${stream}: ${door}`, () => refused('control', target, body));
    }
    for (const filter of [subject, first, `*.${subject.split('.').slice(1).join('.')}`, '>']) {
      test(`${stream}: subscribe ${filter}`, () => subscriptionRefused('control', filter));
    }
  }

  test('a consumer of a readable stream cannot name another one in its body', async () => {
    const answer = await ask('control', '$JS.API.CONSUMER.CREATE.TRAINING.spy', {
      stream_name: 'VALIDATION',
      config: { name: 'spy', ack_policy: 'none' },
    });
    assert.match(answer, /does not match/);
  });

  test('a push consumer of a bucket delivers nothing into another stream', async () => {
    const { admin, control } = connections;
    await (await new Kvm(control).open('active')).put('globex', 'forged');
    const manager = await jetstreamManager(admin);
    const sizes = () =>
      Promise.all(forbidden.map(async (name) => (await manager.streams.info(name)).state.messages));
    const before = await sizes();
    for (const [index, target] of Object.values(subjects).entries()) {
      const name = `push${index}`;
      const config = { name, ack_policy: 'none', deliver_policy: 'all', deliver_subject: target };
      const request = { stream_name: 'KV_active', config };
      await ask('control', `$JS.API.CONSUMER.CREATE.KV_active.${name}`, request);
    }
    await (await new Kvm(control).open('active')).put('globex', 'forged again');
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(await sizes(), before);
  });

  test('other inboxes, stream lists and other prefixes', async () => {
    await subscriptionRefused('control', '_INBOX_aggregator.>');
    await subscriptionRefused('control', '$JS.>');
    await subscriptionRefused('control', 'shadow.>');
    await refused('control', '$JS.API.STREAM.NAMES');
    await refused('control', '$JS.API.STREAM.LIST');
    await refused('control', '$JS.ratchet.API.STREAM.INFO.INGEST');
  });

  test('ingest and ticks cannot be forged', async () => {
    for (const subject of ['ingest.acme', 'tick.0', 'training.acme.x']) {
      await refused('control', subject, 'forged');
    }
  });
});

describe('each user can do its work', () => {
  test('control: buckets, objects, training, events', async () => {
    const kv = await new Kvm(connections.control).open('active');
    const revision = await kv.create('acme', 'one');
    await kv.update('acme', 'two', revision);
    await assert.rejects(() => kv.update('acme', 'three', revision));
    assert.equal((await kv.get('acme'))?.string(), 'two');
    const objects = await new Objm(connections.control).open('modules');
    await objects.putBlob({ name: 'digest' }, new Uint8Array(300_000));
    await objects.putBlob({ name: 'digest' }, new Uint8Array(300_000));
    assert.equal((await objects.getBlob('digest'))?.length, 300_000);
    await jetstream(connections.aggregator).publish('training.acme.0123', 'sample');
    const training = await jetstream(connections.control).consumers.get('TRAINING');
    assert.equal((await training.next({ expires: 2_000 }))?.string(), 'sample');
    const events = await jetstreamManager(connections.control);
    await events.consumers.add('EVENTS', { durable_name: 'watch', ack_policy: 'explicit' });
    await jetstream(connections.aggregator).publish('evt.acme.swapped', '{}');
    const watch = await jetstream(connections.control).consumers.get('EVENTS', 'watch');
    const event = await watch.next({ expires: 2_000 });
    assert.equal(await event?.ackAck(), true);
  });

  test('control: watching a bucket', async () => {
    const kv = await new Kvm(connections.control).open('configurations');
    await kv.put('acme', 'rules');
    for await (const entry of await kv.watch()) {
      assert.equal(entry.string(), 'rules');
      break;
    }
  });

  test('aggregator: consumes, captures, emits, answers', async () => {
    const { aggregator, control, producer } = connections;
    await jetstream(producer).publish('ingest.acme', 'points');
    const manager = await jetstreamManager(aggregator);
    const filters = [0, 1, 2, 3].map((partition) => `ingest.${partition}.*`);
    const config = { durable_name: 'work', ack_policy: 'explicit', filter_subjects: filters };
    await manager.consumers.add('INGEST', { ...config, ack_policy: 'explicit' });
    const work = await jetstream(aggregator).consumers.get('INGEST', 'work');
    assert.equal(await (await work.next({ expires: 2_000 }))?.ackAck(), true);
    for (const subject of ['tick.0', 'validation.acme.x', 'aggregates.acme', 'evt.acme.measured']) {
      await jetstream(aggregator).publish(subject, 'x');
    }
    const purge = await ask('aggregator', '$JS.API.STREAM.PURGE.INGEST', { seq: 1 });
    assert.match(purge, /"success":true/);
    const held = await jetstream(aggregator).consumers.get('VALIDATION');
    assert.equal((await held.next({ expires: 2_000 }))?.string(), 'x');
    const service = aggregator.subscribe('shadow.evaluate', {
      callback: (_error, request) => {
        request.respond('{"verdict":"pass"}');
      },
    });
    await aggregator.flush();
    const answer = await control.request('shadow.evaluate', '{}', { timeout: 2_000 });
    assert.equal(answer.string(), '{"verdict":"pass"}');
    service.unsubscribe();
  });

  test('aggregator: reads buckets and objects', async () => {
    const kv = await new Kvm(connections.aggregator).open('active');
    assert.equal((await kv.get('acme'))?.string(), 'two');
    const objects = await new Objm(connections.aggregator).open('modules');
    assert.equal((await objects.getBlob('digest'))?.length, 300_000);
  });

  test('aggregator: writes no bucket, object, ingest message or stream', async () => {
    for (const subject of ['$KV.active.acme', '$KV.configurations.acme', '$O.modules.M.x']) {
      await refused('aggregator', subject, 'forged');
    }
    for (const stream of streams) {
      // What everybody is done with in INGEST makes room.
      if (stream.name !== 'INGEST') {
        await refused('aggregator', `$JS.API.STREAM.PURGE.${stream.name}`);
      }
      await refused('aggregator', `$JS.API.STREAM.DELETE.${stream.name}`);
    }
    await refused('aggregator', '$JS.API.STREAM.CREATE.MINE', { name: 'MINE' });
    await refused('aggregator', 'ingest.acme', 'forged');
    await subscriptionRefused('aggregator', '_INBOX_control.>');
  });

  test('producer: publishes ingest messages, and asks what a gateway must know', async () => {
    const js = jetstream(connections.producer);
    // The second one names the partition itself: of an organization that is spread over several.
    for (const subject of ['ingest.acme', 'ingest.0.acme']) await js.publish(subject, 'points');
    for (const subject of ['tick.0', 'parts.0.acme.0', 'aggregates.acme', 'evt.acme.swapped']) {
      await refused('producer', subject, 'forged');
    }
    for (const stream of ['INGEST', 'KV_configurations']) {
      assert.match(await ask('producer', `$JS.API.STREAM.INFO.${stream}`), /"max_bytes"/);
    }
    // Of what is in the stream it reads the totals of series, and nothing else.
    await js.publish('totals.acme.source.0', 'totals');
    const last = '$JS.API.DIRECT.GET.INGEST';
    assert.equal(await ask('producer', `${last}.totals.acme.source.0`), 'totals');
    for (const subject of [`${last}.ingest.0.acme`, last, '$JS.API.STREAM.MSG.GET.INGEST']) {
      await refused('producer', subject, { seq: 1 });
    }
    for (const subject of ['$KV.configurations.acme', '$JS.API.STREAM.PURGE.INGEST']) {
      await refused('producer', subject, 'forged');
    }
    for (const subject of ['$JS.API.INFO', '$JS.API.STREAM.INFO.KV_active', 'shadow.evaluate']) {
      await refused('producer', subject);
    }
    for (const subject of ['ingest.>', 'aggregates.>', '>']) {
      await subscriptionRefused('producer', subject);
    }
  });

  test('operator: reads aggregates, events and figures, writes nothing', async () => {
    for (const stream of ['AGGREGATES', 'EVENTS', 'MEASURED']) {
      const consumer = await jetstream(connections.operator).consumers.get(stream);
      assert.notEqual(await consumer.next({ expires: 2_000 }), null, stream);
    }
    for (const subject of ['$KV.active.acme', 'ingest.acme', 'evt.acme.swapped', 'aggregates.x']) {
      await refused('operator', subject, 'forged');
    }
    await refused('operator', '$JS.API.DIRECT.GET.VALIDATION', { seq: 1 });
    await subscriptionRefused('operator', 'validation.>');
  });

  test('nobody enters without a password', async () => {
    await assert.rejects(() => connectNats(stack.addresses.nats, 'control', 'wrong'), /auth/i);
  });
});
