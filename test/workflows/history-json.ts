/**
 * Histories as the Temporal CLI writes them. The SDK's own reader needs one copy of protobufjs for
 * all its packages; an installation may nest several, so the copy that belongs to the message types
 * is looked up here.
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const requireOfTypes = createRequire(require.resolve('@temporalio/proto'));

interface Root {
  lookupType(name: string): unknown;
}
type FromJson = (type: unknown, value: unknown, options: object) => object | null;

const root = require('@temporalio/proto') as Root;
const { fromJson } = requireOfTypes('protobufjs/ext/protojson') as { fromJson: FromJson };

export function readHistory(json: unknown): object {
  const type = root.lookupType('temporal.api.history.v1.History');
  const history = fromJson(type, json, { ignoreUnknownFields: true });
  if (history === null) throw new TypeError('not a history');
  return history;
}
