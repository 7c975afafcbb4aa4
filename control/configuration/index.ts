export {
  type Aggregate,
  aggregates,
  decodeBlob,
  digestBlob,
  encodeBlob,
  type Rule,
} from './blob.ts';
export { effectiveFromMs, type RuleChange, ruleChanges } from './changes.ts';
export {
  type Configuration,
  compileConfiguration,
  compileUnknown,
} from './configuration.ts';
export {
  BlobError,
  ConfigurationError,
  describeProblem,
  FilterSyntaxError,
  type Problem,
} from './errors.ts';
export { type Filter, filterDepth, filterLeaves, parseFilter, printFilter } from './filter.ts';
export { isOrganizationName, limits, organizationPattern } from './limits.ts';
export { parseWindow, printWindow, type RuleInput, ruleSchema } from './rules.ts';
export { compileBody, parseConfiguration } from './yaml.ts';
