import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SettingsError } from '../config.ts';
import { describeMutators, modelSettings } from './models.ts';

const NONE = { apiKey: null, settings: null, baseUrl: null };

test('who proposes is said, and what it may cost; the key is not', () => {
  assert.match(describeMutators(NONE), /ANTHROPIC_API_KEY is not set: the built-in search alone/);
  const said = describeMutators({
    ...NONE,
    apiKey: 'sk-canary',
    settings: '{"output_tokens":2048}',
  });
  assert.match(said, /claude-sonnet-5-5, claude-opus-5-5: at most \$10.00 an organization/);
  assert.doesNotMatch(said, /canary/);
});

test('wrong settings are an error with or without a key', () => {
  for (const apiKey of [null, 'k']) {
    assert.throws(
      () => describeMutators({ ...NONE, apiKey, settings: '{"budget":{"usd":1}}' }),
      (error: unknown) =>
        error instanceof SettingsError && /^RATCHET_LLM: budget: .*usd/.test(error.message),
    );
  }
});

test('ANTHROPIC_BASE_URL counts where the settings name none', () => {
  const baseUrl = 'http://127.0.0.1:1';
  assert.equal(modelSettings({ ...NONE, baseUrl }).baseUrl, baseUrl);
  const settings = '{"base_url":"https://models.example"}';
  assert.equal(modelSettings({ ...NONE, baseUrl, settings }).baseUrl, 'https://models.example');
});
