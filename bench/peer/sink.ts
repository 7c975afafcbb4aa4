/** A receiver of remote write 1.0: reads what vmagent emits. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { uncompress } from 'snappyjs';
import { host } from '../../control/stack/index.ts';

/** A series' labels without its name, and its samples' values. */
export type OnSeries = (name: string, labels: [string, string][], values: number[]) => void;

const BODY_BYTES_MAX = 64 << 20;

export interface Sink {
  url: string;
  close(): Promise<void>;
}

export async function openSink(onSeries: OnSeries): Promise<Sink> {
  const server = createServer((incoming, response) => {
    receive(incoming, onSeries).then(
      () => answer(response, 204),
      (error: unknown) => {
        // vmagent gives up what is refused, and sends again what failed.
        process.stderr.write(`the receiver failed: ${error}\n`);
        answer(response, 500, String(error));
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://${host}:${port}/api/v1/write`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(response: ServerResponse, status: number, text = ''): void {
  response.statusCode = status;
  response.end(text);
}

async function receive(incoming: IncomingMessage, onSeries: OnSeries): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  const body = uncompress(new Uint8Array(Buffer.concat(parts)), BODY_BYTES_MAX);
  for (const { field, bytes } of fields(body)) if (field === 1) readSeries(bytes, onSeries);
}

function readSeries(body: Uint8Array, onSeries: OnSeries): void {
  let name = '';
  const labels: [string, string][] = [];
  const values: number[] = [];
  for (const { field, bytes } of fields(body)) {
    if (field === 1) {
      const [key = '', value = ''] = [...fields(bytes)].map(({ bytes: text }) =>
        Buffer.from(text).toString(),
      );
      if (key === '__name__') name = value;
      else labels.push([key, value]);
    } else if (field === 2) {
      const double = [...fields(bytes)].find(({ field: number }) => number === 1)?.bytes;
      values.push(double === undefined ? 0 : Buffer.from(double).readDoubleLE());
    }
  }
  onSeries(name, labels, values);
}

interface Field {
  field: number;
  /** The content of a field of bytes, or the eight bytes of a double; else nothing. */
  bytes: Uint8Array;
}

function* fields(body: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = body[at++];
      if (byte === undefined) throw new Error('the message is cut');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < body.length) {
    const tag = varint();
    const type = tag & 7;
    if (type === 0) {
      varint();
      yield { field: tag >> 3, bytes: new Uint8Array(0) };
      continue;
    }
    const length = type === 1 ? 8 : varint();
    yield { field: tag >> 3, bytes: body.subarray(at, at + length) };
    at += length;
  }
}
