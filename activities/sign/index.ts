/**
 * Stage `sign`: the statement, the builder's signature, the validator's, one envelope around both.
 */
import { readLinked } from '../build/linked.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import { countersign } from '../shadow/service.ts';
import type { Activities, ManifestSubject, SignInput, SignVerdict } from '../types.ts';
import { encodeEnvelope, verifies, type WireSignature } from './dsse.ts';
import { builderKey, trustedKeys } from './keys.ts';
import {
  activeOf,
  codeOf,
  encodeStatement,
  foreignCodeOf,
  NO_CODE,
  readStatement,
} from './statement.ts';

type Needs = Pick<Deps, 'settings' | 'store' | 'nats'>;

export function signActivities(deps: Needs): Pick<Activities, 'sign'> {
  return { sign: (input) => sign(deps, input) };
}

async function sign(deps: Needs, input: SignInput): Promise<SignVerdict> {
  const { settings, store, nats } = deps;
  // 1. What is signed are these bytes; nothing serialises them again.
  const statement = encodeStatement(input, await codeFor(deps, input.subject));
  const stored = await store.put(statement, 'application/vnd.in-toto+json');
  // 2. The builder says: I made this.
  const builder = await builderKey(settings.builderKeyFile);
  // 3. The validator says: I passed this. It rebuilds what it signs from its own records.
  const answer = await countersign(nats, statement);
  if (!answer.ok) {
    const { error: reason, detail } = answer.refusal;
    return { verdict: 'refused', reason, detail: detail.slice(0, 200) };
  }
  // 4. An envelope that aggregators would refuse is not worth a version.
  await checkValidator(settings.trustFile, statement, builder.keyid, answer.value);
  const signatures = [builder.sign(statement), answer.value];
  const envelope = await store.put(encodeEnvelope(statement, signatures), 'application/json');
  const active = activeOf(readStatement(statement), stored.digest);
  return { verdict: 'signed', envelope, active };
}

async function codeFor({ store }: Pick<Needs, 'store'>, subject: ManifestSubject) {
  if (subject.of === 'nothing') return NO_CODE;
  if (subject.of === 'earlier') return readStatement(await store.get(subject.statement));
  const { module, origin } = subject;
  if (!('linked' in origin)) return foreignCodeOf(module, origin);
  const linked = await readLinked(store, origin.linked, module.digest);
  if (linked === null) {
    throw fatal('missingObject', `${origin.linked.digest} is no record of ${module.digest}`);
  }
  return codeOf(module, origin, { rustc: linked.rustc, kit: linked.kit });
}

async function checkValidator(
  file: string,
  statement: Uint8Array,
  builder: string,
  signature: WireSignature,
): Promise<void> {
  const keys = await trustedKeys(file);
  const own = keys.find((key) => key.keyid === builder && key.role === 'builder');
  if (own === undefined) throw fatal('keyRefused', `${file} does not trust builder ${builder}`);
  const validator = keys.find((key) => key.keyid === signature.keyid && key.role === 'validator');
  if (validator === undefined) {
    throw fatal('keyRefused', `${file} does not trust validator ${signature.keyid}`);
  }
  if (!verifies(validator.public, statement, signature.sig)) {
    throw fatal('keyRefused', `the signature of validator ${signature.keyid} does not hold`);
  }
}
