/** What the workflow bundle exports: one name a workflow type. */
export { fleet } from './fleet.ts';
export { generation } from './generation.ts';
export { organization } from './organization.ts';
export { submission } from './submission.ts';
