/**
 * `npm run bench -- tenants`: what it costs that many organizations share one aggregator, many of
 * them with a module of their own.
 */
import { parseArgs } from 'node:util';
import type { Configuration } from '../control/configuration/index.ts';
import { type Done, House } from './tenants/house.ts';
import { configurationOf, marked, type Tenant } from './tenants/population.ts';
import { buildSources } from './tenants/sources.ts';
import { seededRandom, shuffled } from './workloads/random.ts';
import { generateMessage, workloadA } from './workloads/workloads.ts';

const help = `Usage: npm run bench -- tenants [--json] [OPTIONS]

Builds sources, makes modules of them by a custom section each, and sends the same messages once to
one organization and once to all of them in turn, at one aggregator. Throughput is messages a second
of the aggregator's processor time, so that what else runs on the machine does not count. Windows
stay open and nothing is captured: what is compared is taking in and aggregating.

  --json             the last line of standard output is one JSON object with the metrics
  --organizations N  1 to 10000; default 10000
  --modules N        organizations with a module of their own; default 1000
  --sources N        built; default 50
  --messages N       measured in each case, 100 to 1000000; default 40000
  --seed N           of the messages; default 7
  --help             this text

Metrics: organizations; modules; throughput_vs_single; rss_gib, of the aggregator with all of them;
messages that another module stood in for; and both throughputs.
`;

const TEMPLATES = 64;
const GIB = 2 ** 30;

interface Options {
  json: boolean;
  organizations: number;
  modules: number;
  sources: number;
  messages: number;
  seed: number;
}

interface Case {
  done: Done;
  rssBytes: number;
  stoodIn: number;
  modules: number;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench tenants: ${error instanceof Error ? error.stack : error}\n`);
  process.exitCode = 1;
}

async function main(args: string[]): Promise<number> {
  const options = optionsOf(args);
  if (options === null) {
    process.stdout.write(help);
    return 0;
  }
  const components = await buildSources(options.sources, say);
  const everybody = tenantsOf(options, components);
  const single = await measure(everybody.slice(0, 1), options);
  const many = await measure(everybody, options);
  const throughput = ({ done }: Case) => options.messages / done.cpuSeconds;
  const metrics = {
    organizations: options.organizations,
    modules: many.modules,
    throughput_vs_single: throughput(many) / throughput(single),
    rss_gib: many.rssBytes / GIB,
    single_messages_per_cpu_s: throughput(single),
    tenants_messages_per_cpu_s: throughput(many),
    single_wall_s: single.done.wallSeconds,
    tenants_wall_s: many.done.wallSeconds,
    single_rss_gib: single.rssBytes / GIB,
    stood_in_messages: many.stoodIn,
  };
  for (const [name, value] of Object.entries(metrics)) say(`${name} ${value}`);
  if (options.json) process.stdout.write(`${JSON.stringify({ bench: 'tenants', metrics })}\n`);
  return 0;
}

function say(line: string): void {
  process.stderr.write(`# ${line}\n`);
}

/** The first ones have modules, so that one of them is the single case. */
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

async function measure(tenants: readonly Tenant[], options: Options): Promise<Case> {
  const house = await House.open(say);
  try {
    say(`${tenants.length} organizations are configured`);
    await house.fill(tenants);
    await house.start();
    const orgs = tenants.map(({ configuration }) => configuration.org);
    // Everybody is known, and has an instance if there is one for it, before it is measured.
    const before = await house.send(messages(orgs, options.organizations, options.seed));
    say(`warm after ${before.wallSeconds.toFixed(1)} s`);
    const done = await house.send(messages(orgs, options.messages, options.seed + 1));
    const rssBytes = house.rssBytes();
    const stoodIn = await house.sum('ratchet_stood_in_messages_total');
    const modules = await house.sum('ratchet_loaded_modules');
    return { done, rssBytes, stoodIn, modules };
  } finally {
    await house.close();
  }
}

/** Messages to organizations in turn, in another order each round. */
function* messages(orgs: readonly string[], count: number, seed: number) {
  const random = seededRandom(seed);
  const workload = workloadA(seed);
  const now = Date.now();
  const payloads = Array.from(
    { length: TEMPLATES },
    () => generateMessage(workload, now, random).payload,
  );
  for (let sent = 0; sent < count; ) {
    for (const org of shuffled(orgs, random)) {
      if (sent === count) return;
      yield { org, payload: payloads[sent % TEMPLATES] as Uint8Array };
      sent += 1;
    }
  }
}

/** Null when help is wanted. */
function optionsOf(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean', default: false },
      organizations: { type: 'string', default: '10000' },
      modules: { type: 'string', default: '1000' },
      sources: { type: 'string', default: '50' },
      messages: { type: 'string', default: '40000' },
      seed: { type: 'string', default: '7' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const organizations = integer('--organizations', values.organizations, 1, 10_000);
  return {
    json: values.json,
    organizations,
    modules: integer('--modules', values.modules, 1, organizations),
    sources: integer('--sources', values.sources, 1, 1_000),
    messages: integer('--messages', values.messages, 100, 1_000_000),
    seed: integer('--seed', values.seed, 0, 0xffff_ffff),
  };
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${name} must be a whole number from ${least} to ${most}, not "${text}"`);
}
