/** One call of gRPC, framed by hand: also one that no library would make. */
import { connect } from 'node:http2';

export const EXPORT = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export';

export interface Call {
  path?: string;
  headers?: Record<string, string>;
  /** The message; the frame is put around it. */
  message: Uint8Array;
  compressed?: boolean;
}

/** The status and message of the call, from its headers or its trailers. */
export function call(address: string, sent: Call): Promise<{ status: number; message: string }> {
  const head = Buffer.alloc(5);
  head.writeUInt8(sent.compressed === true ? 1 : 0);
  head.writeUInt32BE(sent.message.length, 1);
  const body = Buffer.concat([head, sent.message]);
  const session = connect(`http://${address}`);
  return new Promise((resolve, reject) => {
    session.once('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': sent.path ?? EXPORT,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...sent.headers,
    });
    const seen = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] === undefined) return;
      session.destroy();
      resolve({
        status: Number(headers['grpc-status']),
        message: String(headers['grpc-message'] ?? ''),
      });
    };
    stream.on('response', seen);
    stream.on('trailers', seen);
    stream.on('error', reject);
    stream.resume();
    stream.end(body);
  });
}
