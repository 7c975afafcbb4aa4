import { bootstrap, withPeers } from './bootstrap.mjs';
import { runAsMain } from './lib/main.mjs';
import { root } from './lib/paths.mjs';
import { describeEnd, endAll, run } from './lib/run.mjs';
import { duration } from './lib/steps.mjs';
import { suites } from './lib/suites.mjs';

const progressMs = 10_000;
const detailLines = 60;

const help = `Usage: npm test [-- OPTIONS]

Builds what is missing, then runs every suite. The last line is "N passed, N failed", and the
number of skipped ones where there are any.

  --only NAME[,NAME…]  only these suites
  --filter TEXT        only tests whose name contains TEXT (suites that cannot do that are left out)
  --help               this text

Suites:
${suites.map((suite) => `  ${suite.name.padEnd(9)}${suite.about}`).join('\n')}
`;

await runAsMain(import.meta.url, 'test', async (args) => {
  const options = parseArguments(args);
  if (options.help) {
    say(help.trimEnd());
    return 0;
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      endAll();
      process.exit(130);
    });
  }
  return report(await runAll(options));
});

/** Where the bootstrap fails nothing can run: that is one failure. */
async function runAll({ suites: wanted, filter }) {
  let env;
  try {
    env = withoutModels(await bootstrap({ log: say }));
    if (wanted.some((suite) => suite.peers)) {
      env = await withPeers(env, { log: say, optional: true });
    }
  } catch (error) {
    const failed = [{ name: 'what the tests need', detail: error.message }];
    return [{ suite: { name: 'bootstrap' }, passed: 0, failed, skipped: [] }];
  }
  const results = [];
  for (const suite of wanted) results.push(await runSuite(suite, filter, env));
  return results;
}

/** Tests bring their own model server: they never spend the money of whoever runs them. */
function withoutModels(env) {
  const names = ['ANTHROPIC_API_KEY', 'ANTHROPIC_BASE_URL', 'RATCHET_LLM'];
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
}

function parseArguments(args) {
  const options = { suites, filter: null, help: false };
  const rest = [...args];
  while (rest.length > 0) {
    const [flag, attached] = splitFlag(rest.shift());
    if (flag === '--help' || flag === '-h') return { ...options, help: true };
    if (flag !== '--only' && flag !== '--filter') throw new Error(`unknown option "${flag}"`);
    const value = attached ?? rest.shift();
    if (!value) throw new Error(`${flag} needs a value`);
    if (flag === '--only') options.suites = named(value);
    else options.filter = value;
  }
  if (options.filter !== null) options.suites = options.suites.filter((suite) => suite.filters);
  return options;
}

function splitFlag(text) {
  const at = text.indexOf('=');
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function named(value) {
  const names = value.split(',');
  const known = suites.map((suite) => suite.name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new Error(`no suite "${unknown}"; there are: ${known.join(', ')}`);
  }
  return suites.filter((suite) => names.includes(suite.name));
}

async function runSuite(suite, filter, env) {
  const command = suite.command(filter);
  if (command === null) {
    say(`- ${suite.name}: nothing to run`);
    return { suite, passed: 0, failed: [], skipped: [] };
  }
  say(`▸ ${suite.name}: ${suite.about}`);
  const begun = performance.now();
  const parser = suite.parser();
  const elapsed = () => duration(performance.now() - begun);
  const timer = setInterval(() => {
    say(
      `  ${suite.name}: ${[parser.progress(), `${elapsed()} so far`].filter(Boolean).join(', ')}`,
    );
  }, progressMs);
  const end = await runQuietly(command, env, suite, parser);
  clearInterval(timer);
  const result = parser.finish({ ok: end.code === 0, output: end.output });
  if (end.timedOut) result.failed.push(overTime(suite, end));
  const mark = result.failed.length === 0 ? '✓' : '✗';
  say(`${mark} ${suite.name}: ${counts([result])} (${elapsed()})`);
  return { suite, ...result };
}

/** A runner that cannot be started is a failed one. */
async function runQuietly([program, args], env, suite, parser) {
  const options = { cwd: root, env, timeoutMs: suite.limitMs, onLine: parser.line };
  try {
    return await run(program, args, options);
  } catch (error) {
    return { code: 1, signal: null, timedOut: false, output: `${program}: ${error.message}` };
  }
}

function overTime(suite, end) {
  const name = `${suite.name} within ${duration(suite.limitMs)}`;
  return { name, detail: `the suite was ended: ${describeEnd(end)}` };
}

function report(results) {
  for (const { suite, skipped } of results) {
    for (const { name, why } of skipped) say(`skipped: ${suite.name}: ${name} (${why})`);
  }
  for (const { suite, failed } of results) {
    for (const { name, detail } of failed) {
      say(`\nFAILED: ${suite.name}: ${name}`);
      say(indent(detail ?? ''));
    }
  }
  const total = results.reduce((sum, result) => sum + result.passed + result.failed.length, 0);
  const failures = results.reduce((sum, result) => sum + result.failed.length, 0);
  if (total === 0) say('\nno test ran');
  say(counts(results));
  return failures > 0 || total === 0 ? 1 : 0;
}

function counts(results) {
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed.length, 0);
  const skipped = results.reduce((sum, result) => sum + result.skipped.length, 0);
  const tail = skipped === 0 ? '' : `, ${skipped} skipped`;
  return `${passed} passed, ${failed} failed${tail}`;
}

function indent(text) {
  const lines = text.trimEnd().split('\n').slice(0, detailLines);
  return lines.map((line) => `    ${line}`).join('\n');
}

function say(line) {
  process.stdout.write(`${line}\n`);
}
