/** Mutation: a planted fault of a rule of the core, and the test that must fail because of it. */

export interface Mutation {
  /** What is wrong then. */
  readonly fault: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** The killer: its file, and words of its name. */
  readonly by: readonly [file: string, test: string];
}

/** What searches finds more than what was thought of. */
export const MODEL = ["tests/proof/model_test.ts", "random operations over the whole API"] as const;
