import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions, UsageError } from './options.ts';

const accepted: [args: string[], expected: Record<string, unknown>][] = [
  [[], { once: false, json: false, seed: 7, minutes: 30 }],
  [['--once', '--json'], { once: true, json: true }],
  [['--seed', '4294967295', '--minutes', '1'], { seed: 4294967295, minutes: 1 }],
  [['--state', '/somewhere'], { state: '/somewhere' }],
];

for (const [args, expected] of accepted) {
  test(`start options: ${args.join(' ') || 'none'}`, () => {
    const options = parseOptions(args, {}, () => 7);
    for (const [key, value] of Object.entries(expected)) {
      assert.equal((options as unknown as Record<string, unknown>)[key], value);
    }
  });
}

const refused: [args: string[], message: RegExp][] = [
  [['--seed', '-1'], /seed/],
  [['--seed', '4294967296'], /not "4294967296"/],
  [['--minutes', '0'], /from 1 to 240/],
  [['--json'], /needs --once/],
  [['--what'], /--what/],
  [['extra'], /extra/],
];

for (const [args, message] of refused) {
  test(`start options: ${args.join(' ')} is refused`, () => {
    assert.throws(
      () => parseOptions(args, {}, () => 7),
      (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('start options: --help wins', () => {
  assert.equal(
    parseOptions(['--help'], {}, () => 7),
    'help',
  );
});
