import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { loadSettings, SettingsError } from './config.ts';

test('defaults', () => {
  const settings = loadSettings({ HOME: '/home/someone' });
  assert.equal(settings.state, resolve('.ratchet'));
  assert.equal(settings.cache, '/home/someone/.cache/ratchet');
  assert.equal(settings.nats.passwordFile, resolve('.ratchet/keys/nats-control.password'));
  assert.deepEqual(settings.temporal, {
    address: '127.0.0.1:7233',
    namespace: 'default',
    apiKey: null,
    tls: null,
  });
  assert.equal(settings.api.port, 8480);
  assert.equal(settings.proofPolicy, 'attested');
  assert.equal(settings.wasi, 'none');
  assert.equal(settings.attestations, resolve('proofs/attestations'));
  assert.deepEqual(settings.models, { apiKey: null, settings: null, baseUrl: null });
});

test('values', () => {
  const settings = loadSettings({
    RATCHET_STATE: '/var/lib/ratchet',
    RATCHET_API_ADDRESS: '[::1]:0',
    XDG_CACHE_HOME: '/var/cache',
    TEMPORAL_API_KEY: 'k',
    NATS_URL: 'nats://a:1,tls://b',
    NATS_USER: 'other',
    RATCHET_KIT: '',
  });
  assert.deepEqual(settings.api, {
    hostname: '::1',
    port: 0,
    tokensFile: '/var/lib/ratchet/api-tokens.json',
  });
  assert.equal(settings.cache, '/var/cache/ratchet');
  assert.notEqual(settings.temporal.tls, null);
  assert.equal(settings.nats.url, 'nats://a:1,tls://b');
  assert.equal(settings.nats.passwordFile, '/var/lib/ratchet/keys/nats-other.password');
  assert.equal(settings.kit, null);
  assert.equal(loadSettings({ TEMPORAL_API_KEY: 'k', TEMPORAL_TLS: 'false' }).temporal.tls, null);
});

test('errors name the variable and the value', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ NATS_URL: 'localhost' }, /NATS_URL: "localhost" is not a NATS URL/],
    [{ NATS_URL: 'ws://localhost' }, /NATS_URL: "ws:\/\/localhost" is not a NATS URL/],
    [
      { NATS_URL: 'nats://a:1,nats://b:2,' },
      /NATS_URL: "nats:\/\/a:1,nats:\/\/b:2," is not a NATS URL/,
    ],
    [{ TEMPORAL_ADDRESS: 'here' }, /TEMPORAL_ADDRESS: "here" is not host:port/],
    [{ RATCHET_API_ADDRESS: 'a:70000' }, /RATCHET_API_ADDRESS: "a:70000" has a port over 65535/],
    [{ RATCHET_PROOF_POLICY: 'none' }, /RATCHET_PROOF_POLICY: "none" is neither attested/],
    [{ RATCHET_PROOF_POLICY: 'unproven' }, /"unproven" is neither attested nor verified/],
    [{ RATCHET_WASI: 'full' }, /RATCHET_WASI: "full" is neither none nor empty/],
    [{ ANTHROPIC_BASE_URL: 'api' }, /ANTHROPIC_BASE_URL: "api" is not an http\(s\) URL/],
    [{ ANTHROPIC_API_KEY: '  ' }, /ANTHROPIC_API_KEY: its value /],
    [{ TEMPORAL_TLS: 'yes' }, /TEMPORAL_TLS: "yes" is neither true nor false/],
    [{ TEMPORAL_TLS_CLIENT_CERT_PATH: '/c' }, /must be set together/],
    [{ NATS_URL: 'x', TEMPORAL_TLS: 'y' }, /TEMPORAL_TLS: "y".*; NATS_URL: "x"/],
  ];
  for (const [environment, message] of cases) {
    assert.throws(
      () => loadSettings(environment),
      (error: unknown) => error instanceof SettingsError && message.test(error.message),
      message.source,
    );
  }
});
