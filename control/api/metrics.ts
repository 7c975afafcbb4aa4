/** Counts requests for `/metrics`, in the text format of Prometheus. */
export class ApiMetrics {
  readonly #requests = new Map<string, { count: number; seconds: number }>();
  readonly #startedMs: number;

  constructor(startedMs: number) {
    this.#startedMs = startedMs;
  }

  /** `route` is the path's pattern, so that the number of series is bounded. */
  observe(route: string, method: string, status: number, seconds: number): void {
    const labels = `method="${method}",route="${route}",status="${status}"`;
    const entry = this.#requests.get(labels) ?? { count: 0, seconds: 0 };
    this.#requests.set(labels, { count: entry.count + 1, seconds: entry.seconds + seconds });
  }

  text(): string {
    const memory = process.memoryUsage();
    const cpu = process.cpuUsage();
    const entries = [...this.#requests];
    return [
      ...metric('process_start_time_seconds', 'gauge', [['', this.#startedMs / 1_000]]),
      ...metric('process_resident_memory_bytes', 'gauge', [['', memory.rss]]),
      ...metric('nodejs_heap_used_bytes', 'gauge', [['', memory.heapUsed]]),
      ...metric('process_cpu_seconds_total', 'counter', [['', (cpu.user + cpu.system) / 1e6]]),
      ...metric(
        'ratchet_api_requests_total',
        'counter',
        entries.map(([labels, { count }]) => [labels, count]),
      ),
      ...metric(
        'ratchet_api_request_seconds_total',
        'counter',
        entries.map(([labels, { seconds }]) => [labels, seconds]),
      ),
      '',
    ].join('\n');
  }
}

function metric(name: string, type: string, samples: readonly [string, number][]): string[] {
  const lines = samples.map(([labels, value]) => {
    return labels === '' ? `${name} ${value}` : `${name}{${labels}} ${value}`;
  });
  return [`# TYPE ${name} ${type}`, ...lines];
}
