/**
 * What each runner's output says: {passed, failed: [{name, detail}], skipped: [{name, why}]}.
 * A parser is fed line by line, so that progress can be told while the runner works.
 */

/** Lint, types and formatting count as one test each. */
export function checkParser(name) {
  return {
    line: () => undefined,
    progress: () => '',
    finish: ({ ok, output }) => ({
      passed: ok ? 1 : 0,
      failed: ok ? [] : [{ name, detail: tail(output, 80) }],
      skipped: [],
    }),
  };
}

/** `cargo test`: a line for every test, and a result line for every binary. */
export function cargoParser() {
  let passed = 0;
  const failed = [];
  const skipped = [];
  const details = new Map();
  let section = null;
  const line = (text) => {
    const test = /^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, (.*))?$/.exec(
      text,
    );
    if (test !== null) {
      const [, name, result, why] = test;
      if (result === 'ok') passed += 1;
      else if (result === 'FAILED') failed.push(name);
      else skipped.push({ name, why: why ?? 'ignored' });
      return;
    }
    const head = /^---- (.+) stdout ----$/.exec(text);
    if (head !== null) {
      section = head[1];
      details.set(section, []);
    } else if (/^failures:$|^test result:/.test(text)) section = null;
    else if (section !== null && details.get(section).length < 60) details.get(section).push(text);
  };
  return {
    line,
    progress: () => count(passed, failed.length),
    finish: ({ ok, output }) => {
      const found = failed.map((name) => ({ name, detail: (details.get(name) ?? []).join('\n') }));
      return { passed, failed: [...found, ...crash(ok, found, output, 'cargo test')], skipped };
    },
  };
}

/** What node's runner says of a test that a name pattern leaves out. */
const notSelected = 'test name does not match pattern';

/** Node's runner with lib/reporter.mjs; suites are groups, only tests count. */
export function nodeParser(relative) {
  let passed = 0;
  const failed = [];
  const skipped = [];
  const line = (text) => {
    const event = parse(text);
    if (event === null || event.skip === notSelected) return;
    const name = `${relative(event.file)} › ${event.name}`;
    if (event.ratchet === 'fail' && event.failure === 'subtestsFailed') return;
    if (event.ratchet === 'fail' && event.todo === false) {
      failed.push({ name, detail: event.error });
    } else if (event.kind === 'suite') return;
    else if (event.skip !== false || event.todo !== false) {
      const why = [event.skip, event.todo].find((reason) => typeof reason === 'string');
      skipped.push({ name, why: why ?? 'skipped' });
    } else passed += 1;
  };
  return {
    line,
    progress: () => count(passed, failed.length),
    finish: ({ ok, output }) => ({
      passed,
      failed: [...failed, ...crash(ok, failed, output, 'the test runner')],
      skipped,
    }),
  };
}

/** A runner that fails without a failed test has crashed: that is a failure too. */
function crash(ok, failed, output, name) {
  if (ok || failed.length > 0) return [];
  return [{ name: `${name} ended without a result`, detail: tail(output, 60) }];
}

function parse(text) {
  if (!text.startsWith('{"ratchet":')) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function count(passed, failed) {
  return failed === 0 ? `${passed} passed` : `${passed} passed, ${failed} failed`;
}

function tail(text, lines) {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}
