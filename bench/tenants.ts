/**
 * `npm run bench -- tenants`: what it costs that many organizations share one aggregator, many of
 * them with a module of their own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Configuration } from '../control/configuration/index.ts';
import { integer, type Outcome, runBench } from './command/index.ts';
import { median } from './evolve/curves.ts';
import { House } from './tenants/house.ts';
import { configurationOf, marked, type Tenant } from './tenants/population.ts';
import { buildSources } from './tenants/sources.ts';
import { type Random, seededRandom, shuffled } from './workloads/random.ts';
import { generateMessage, MESSAGES, workloadA } from './workloads/workloads.ts';

const help = `Usage: npm run bench -- tenants [--json] [OPTIONS]

Builds sources and makes modules of them by a custom section each, every one under its own manifest.
Two aggregators run side by side, each with its own NATS: one with all the organizations, the other
with two of them, one with a module of its own and one without. In every round both take in as many
messages with the same content: the first from its organizations in turn, in another order each
time; the second from one of its two after the other, in the proportion in which the organizations
of the first have modules. So both run as many messages on modules of tenants and on the baseline,
with as many rules, and what differs is whose they are.

Compared is the steady state: every organization has sent before, and goes on to send the series
that it has sent before (some 50 each). Windows stay
open, and nothing is captured. The messages of a round are stored while the aggregator stands still,
so that it takes them in as fast as it can. Throughput is messages a second of its processor time,
all its threads together, so that what else runs on the machine counts for little; the ratio is the
median of the rounds'.

  --json             the last line of standard output is one JSON object with the metrics
  --organizations N  2 to 10000; default 10000
  --modules N        organizations with a module of their own; default 1000
  --sources N        built; default 50
  --messages N       of each round and case, 100 to 1000000; default 50000
  --rounds N         1 to 100; default 5
  --seed N           of the messages; default 7
  --help             this text

Metrics: organizations; modules, those loaded; throughput_vs_single; rss_gib, of the aggregator with
all of them, at the end; both throughputs; the share of the messages that another module stood in
for, or that were dropped, late or refused: no figure counts if that is not 0.
`;

const TEMPLATES = 64;
/** Each organization's first messages, so that its series and groups are known. */
const WARM_EACH = 2;
const GIB = 2 ** 30;
/** Whoever has more than its messages counted did other work. */
const UNEQUAL = [
  'ratchet_stood_in_messages_total',
  'ratchet_dropped_points_total',
  'ratchet_refused_messages_total',
  'ratchet_late_points_total',
];

interface Options {
  organizations: number;
  modules: number;
  sources: number;
  messages: number;
  rounds: number;
  seed: number;
}

interface Message {
  org: string;
  payload: Uint8Array;
}

/** Messages a second of processor time. */
interface Round {
  single: number;
  tenants: number;
}

await runBench({
  name: 'tenants',
  help,
  flags: {
    organizations: { type: 'string', default: '10000' },
    modules: { type: 'string', default: '1000' },
    sources: { type: 'string', default: '50' },
    messages: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '7' },
  },
  options: (values) => {
    const organizations = integer('--organizations', values.organizations, 2, 10_000);
    return {
      organizations,
      modules: integer('--modules', values.modules, 1, organizations - 1),
      sources: integer('--sources', values.sources, 1, 1_000),
      messages: integer('--messages', values.messages, 100, 1_000_000),
      rounds: integer('--rounds', values.rounds, 1, 100),
      seed: integer('--seed', values.seed, 0, 0xffff_ffff),
    };
  },
  measure,
});

async function measure(options: Options, signal: AbortSignal): Promise<Outcome> {
  const components = await buildSources(options.sources, say, signal);
  const everybody = tenantsOf(options, components);
  const few = [everybody[0], everybody[options.modules]] as Tenant[];
  const houses: House[] = [];
  try {
    for (const tenants of [few, everybody]) houses.push(await settled(tenants, signal));
    const [single, many] = houses as [House, House];
    const rounds = await compare(single, many, everybody, options);
    const unequal = await unequalShare(houses, options);
    const of = (figure: (round: Round) => number) => median(rounds.map(figure));
    const metrics = {
      organizations: options.organizations,
      modules: await many.sum('ratchet_loaded_modules'),
      throughput_vs_single: of(({ single, tenants }) => tenants / single),
      rss_gib: many.rssBytes() / GIB,
      single_messages_per_cpu_s: of(({ single }) => single),
      tenants_messages_per_cpu_s: of(({ tenants }) => tenants),
      single_rss_gib: single.rssBytes() / GIB,
      instances: await many.sum('ratchet_instances'),
      unequal,
    };
    for (const [name, value] of Object.entries(metrics)) say(`${name} ${value}`);
    return { metrics, failed: unequal > 0 };
  } finally {
    for (const house of houses) await house.close();
  }
}

function say(line: string): void {
  process.stderr.write(`# ${line}\n`);
}

/** The first ones have modules. */
function tenantsOf(options: Options, components: readonly Uint8Array[]): Tenant[] {
  const variants = components.map((_, variant) => configurationOf('bench', variant));
  return Array.from({ length: options.organizations }, (_, i) => {
    const variant = i % components.length;
    const org = `org-${String(i).padStart(5, '0')}`;
    const configuration = { ...(variants[variant] as Configuration), org };
    const component = components[variant] as Uint8Array;
    return { configuration, component: i < options.modules ? marked(component, i) : null };
  });
}

/** An aggregator that serves these organizations. */
async function settled(tenants: readonly Tenant[], signal: AbortSignal): Promise<House> {
  const house = await House.open(say, signal);
  try {
    await house.fill(tenants);
    await house.start();
    // Rules hold from the moment they were stored: no point of a message may be older.
    await sleep(MESSAGES.span, undefined, { signal });
    say(`${tenants.length} organizations are configured`);
    return house;
  } catch (error) {
    await house.close();
    throw error;
  }
}

async function compare(
  single: House,
  many: House,
  everybody: readonly Tenant[],
  options: Options,
): Promise<Round[]> {
  const { modules, messages: count, seed } = options;
  const orgs = everybody.map(({ configuration }) => configuration.org);
  const few = [orgs[0], orgs[modules]] as [string, string];
  const payloads = templates(seed);
  const ofFew = few.flatMap((org) => payloads.map((payload) => ({ org, payload })));
  const ofMany = orgs.map((org, i) => ({ org, payload: at(payloads, i) }));
  for (let n = 0; n < WARM_EACH; n++) {
    await single.send(ofFew);
    await many.send(ofMany);
  }
  const random = seededRandom(seed + 1);
  const rounds: Round[] = [];
  for (let n = 0; n < options.rounds; n++) {
    const sent = inTurn(ofMany, count, random);
    const isOwn = ({ org }: Message) => org < few[1];
    const same = (own: boolean) =>
      sent
        .filter((message) => isOwn(message) === own)
        .map(({ payload }) => ({ org: own ? few[0] : few[1], payload }));
    const alone = await single.send([...same(true), ...same(false)]);
    const together = await many.send(sent);
    const round = { single: count / alone.cpuSeconds, tenants: count / together.cpuSeconds };
    rounds.push(round);
    const [one, all] = [alone, together].map(({ wallSeconds }) => `${wallSeconds.toFixed(1)} s`);
    const figures = `${Math.round(round.single)} and ${Math.round(round.tenants)} a second`;
    say(`round ${n + 1}: ${figures}, in ${one} and ${all}`);
  }
  return rounds;
}

function templates(seed: number): Uint8Array[] {
  const [random, workload, now] = [seededRandom(seed), workloadA(seed), Date.now()];
  const template = () => generateMessage(workload, now, random).payload;
  return Array.from({ length: TEMPLATES }, template);
}

function at<T>(all: readonly T[], i: number): T {
  return all[i % all.length] as T;
}

/** So many messages, one of each in turn, in another order each time. */
function inTurn(all: readonly Message[], count: number, random: Random): Message[] {
  const sent: Message[] = [];
  while (sent.length < count) sent.push(...shuffled(all, random).slice(0, count - sent.length));
  return sent;
}

/** What was served otherwise than compared, as a share of the messages. */
async function unequalShare(houses: readonly House[], options: Options): Promise<number> {
  const sums = houses.flatMap((house) => UNEQUAL.map((metric) => house.sum(metric)));
  const unequal = (await Promise.all(sums)).reduce((sum, each) => sum + each, 0);
  return unequal / (options.messages * options.rounds);
}
