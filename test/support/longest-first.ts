/** Runs the longest test files first: at the end of a run all workers have something to do. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The longest first, below test/. The others follow in the usual order, in which each is short enough not to be waited for. */
export const LONGEST = [
  'process/killed',
  'integration/oauth',
  'process/accounts',
  'fault/every-step',
  'integration/cyrus',
  'process/program',
  'integration/torture',
  'fault/upstream',
  'fault/model',
  'integration/testssl',
  'fault/regressions',
  'fault/client',
  'fault/verification',
  'fault/views',
  'integration/moving-in',
  'process/package',
  'process/new-upstream',
  'integration/dovecot-mailbox',
  'integration/peers',
  'integration/dovecot-clients',
  'process/state-ownership',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rest = await super.sort(files);
    return rest.toSorted((one, other) => rank(one) - rank(other));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const index = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return index === -1 ? LONGEST.length : index;
}
