/**
 * The in-toto statement about a module: built from what the workflow says and from stored digests
 * alone.
 */
import { z } from 'zod';
import type { ActiveModule, Ref } from '../../workflows/messages.ts';
import type { BuiltOrigin, ForeignOrigin, Proof, SignInput } from '../types.ts';

const INTERFACE = 'ratchet:guest@1.0.0';
const NO_MODULE = '0'.repeat(64);

/** What a statement says of the code: of a tombstone, nothing. */
const codeSchema = z.object({
  module: z.object({ sha256: z.string(), size: z.int() }).nullable(),
  source: z.unknown(),
  toolchain: z.unknown(),
  mutation: z.unknown(),
  proof: z.unknown(),
  benchmark: z.unknown(),
  shadow: z.unknown(),
});
type Code = z.output<typeof codeSchema>;

const predicateSchema = codeSchema
  .extend({
    org: z.string(),
    configuration: z.string(),
    version: z.int().positive(),
    kind: z.enum(['promote', 'rollback', 'tombstone']),
    issued_at_ms: z.int(),
    expires_at_ms: z.int(),
  })
  .refine(
    isOfOneKind,
    'a foreign module, and no other, is submitted, without source and toolchain',
  );

const submittedSchema = z.object({ mutator: z.literal('submitted') });
const foreignSchema = z.strictObject({ verdict: z.literal('foreign') });
const claimsForeign = z.object({ verdict: z.literal('foreign') });

function isOfOneKind({ mutation, proof, source, toolchain }: Code): boolean {
  const submitted = submittedSchema.safeParse(mutation).success;
  if (!claimsForeign.safeParse(proof).success) return !submitted;
  const foreign = foreignSchema.safeParse(proof).success;
  return foreign && submitted && source === null && toolchain === null;
}
const statementSchema = z.object({ predicate: predicateSchema });

export type Predicate = z.output<typeof predicateSchema>;

export function readStatement(bytes: Uint8Array): Predicate {
  return statementSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8'))).predicate;
}

/** Of the build's own record, not of whatever kit is there now. */
export interface Toolchain {
  rustc: string;
  kit: string;
}

/** The code part of a promotion. */
export function codeOf(module: Ref, origin: BuiltOrigin, toolchain: Toolchain): Code {
  return {
    module: { sha256: module.digest, size: module.size },
    source: { commit: origin.commit },
    toolchain: { rustc: toolchain.rustc, kit: toolchain.kit, codec: origin.proof.codec },
    mutation: mutationOf(origin),
    proof: proofOf(origin),
    benchmark: origin.benchmark,
    shadow: { verdict: 'pass' },
  };
}

/** Of a module that a tenant brought: what it was made of and by is not known here. */
export function foreignCodeOf(module: Ref, { name, benchmark }: ForeignOrigin): Code {
  return {
    module: { sha256: module.digest, size: module.size },
    source: null,
    toolchain: null,
    mutation: { mutator: 'submitted', operator: name, prompt: null },
    proof: { verdict: 'foreign' },
    benchmark,
    shadow: { verdict: 'pass' },
  };
}

function mutationOf({ mutator, operator, prompt, model }: BuiltOrigin) {
  return { mutator, operator, prompt, ...(model === null ? {} : { model }) };
}

/** Field by field: nothing else that an activity may have answered gets into a statement. */
function proofOf({ proof }: BuiltOrigin): Proof {
  const { verdict, codec } = proof;
  if (verdict === 'attested') {
    return { verdict, codec, attestation: proof.attestation, date: proof.date };
  }
  const { verus, rust, z3, vstd } = proof.tools;
  const { functions_verified, errors } = proof;
  return { verdict, codec, functions_verified, errors, tools: { verus, rust, z3, vstd } };
}

export const NO_CODE: Code = {
  module: null,
  source: null,
  toolchain: null,
  mutation: null,
  proof: null,
  benchmark: null,
  shadow: null,
};

/** The same input gives the same bytes: field order is fixed here. */
export function encodeStatement(input: SignInput, code: Code): Uint8Array {
  const module = code.module;
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: input.org, digest: { sha256: module?.sha256 ?? NO_MODULE } }],
    predicateType: 'urn:ratchet:manifest:v1',
    predicate: {
      schema: 2,
      org: input.org,
      configuration: input.configuration,
      module,
      interface: INTERFACE,
      version: input.version,
      previous: input.previous,
      issued_at_ms: input.issued_at_ms,
      expires_at_ms: input.expires_at_ms,
      kind: input.subject.kind,
      source: code.source,
      toolchain: code.toolchain,
      mutation: code.mutation,
      proof: code.proof,
      benchmark: code.benchmark,
      shadow: code.shadow,
      workflow: input.workflow,
    },
  };
  return Buffer.from(JSON.stringify(statement), 'utf8');
}

export function activeOf(predicate: Predicate, statement: string): ActiveModule {
  return {
    version: predicate.version,
    kind: predicate.kind,
    configuration: predicate.configuration,
    module: predicate.module?.sha256 ?? null,
    size: predicate.module?.size ?? 0,
    issued_at_ms: predicate.issued_at_ms,
    expires_at_ms: predicate.expires_at_ms,
    statement,
  };
}
