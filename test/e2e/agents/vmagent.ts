/** A vmagent that scrapes one target and writes to a gateway. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { claimPort, host } from '../../../control/stack/ports.ts';
import { httpProbe, type Service, startService } from '../../../control/stack/service.ts';

export interface AgentOptions {
  executable: string;
  directory: string;
  /** `host:port` of what it scrapes. */
  target: string;
  /** Where it writes to. */
  url: string;
  token: string;
}

export async function startVmagent(options: AgentOptions): Promise<Service> {
  const { executable, directory, target, url, token } = options;
  mkdirSync(directory, { recursive: true });
  const file = (name: string) => join(directory, name);
  writeFileSync(file('token'), token, { mode: 0o600 });
  writeFileSync(
    file('scrape.yaml'),
    `scrape_configs:
  - job_name: shop
    scrape_interval: 1s
    static_configs: [{ targets: ['${target}'], labels: { zone: a } }]
`,
  );
  const port = await claimPort('api', 0);
  return startService({
    name: 'vmagent',
    command: executable,
    args: [
      `-httpListenAddr=${host}:${port}`,
      `-promscrape.config=${file('scrape.yaml')}`,
      `-remoteWrite.url=${url}`,
      `-remoteWrite.bearerTokenFile=${file('token')}`,
      `-remoteWrite.tmpDataPath=${file('queue')}`,
      '-remoteWrite.flushInterval=200ms',
      '-remoteWrite.retryMinInterval=200ms',
      '-remoteWrite.retryMaxTime=1s',
    ],
    env: process.env,
    cwd: directory,
    logFile: file('vmagent.log'),
    probe: httpProbe(`http://${host}:${port}/health`),
    readyWithinMs: 30_000,
    graceMs: 10_000,
  });
}
