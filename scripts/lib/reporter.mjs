/** A reporter for node's test runner: one JSON object a line, for lib/runners.mjs. */
export default async function* reporter(source) {
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    yield `${JSON.stringify(summary(event))}\n`;
  }
}

function summary({ type, data }) {
  const error = data.details?.error;
  return {
    ratchet: type === 'test:pass' ? 'pass' : 'fail',
    kind: data.details?.type ?? 'test',
    name: data.name,
    file: data.file ?? null,
    line: data.line ?? null,
    skip: data.skip ?? false,
    todo: data.todo ?? false,
    ms: Math.round(data.details?.duration_ms ?? 0),
    failure: error?.failureType ?? null,
    error: type === 'test:fail' ? describe(error) : null,
  };
}

function describe(error) {
  const cause = error?.cause ?? error;
  return cause?.stack ?? cause?.message ?? String(cause);
}
