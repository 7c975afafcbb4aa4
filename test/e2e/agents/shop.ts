/** A target to scrape: a counter, a gauge that numbers the scrapes, and a histogram. */
import { createServer, type Server } from 'node:http';
import { host } from '../../../control/stack/ports.ts';

export interface Shop {
  /** `host:port`. */
  address: string;
  /** How often it was scraped. */
  scrapes(): number;
  close(): Promise<void>;
}

export async function openShop(): Promise<Shop> {
  let scrapes = 0;
  const server = createServer((_, response) => {
    scrapes += 1;
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    response.end(exposition(scrapes));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { address: `${host}:${port}`, scrapes: () => scrapes, close: () => closed(server) };
}

function exposition(scrape: number): string {
  return `# TYPE shop_orders_total counter
shop_orders_total{item="tea"} ${scrape * 10}
# TYPE shop_scrape gauge
shop_scrape ${scrape}
# TYPE shop_seconds histogram
shop_seconds_bucket{le="0.5"} ${scrape}
shop_seconds_bucket{le="+Inf"} ${scrape * 2}
shop_seconds_sum ${scrape * 1.5}
shop_seconds_count ${scrape * 2}
`;
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
