/** What the workflow bundle exports: one name a workflow type. */
export { generation } from './generation.ts';
export { organization } from './organization.ts';
