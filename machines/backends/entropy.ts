/**
 * Entropy for guests: the host's own, or a sequence that a seed determines.
 *
 * @module
 */

/** Where random bytes come from. */
export interface EntropySource {
  fill(into: Uint8Array): void;
}

/** Bytes per call that the Web Crypto API allows. */
const CRYPTO_LIMIT = 65536;

/** The host's cryptographic generator. */
export const hostEntropy: EntropySource = {
  fill(into) {
    for (let at = 0; at < into.length; at += CRYPTO_LIMIT) {
      crypto.getRandomValues(into.subarray(at, at + CRYPTO_LIMIT) as Uint8Array<ArrayBuffer>);
    }
  },
};

/** A sequence that `seed` determines (Marsaglia's xorshift, 32 bits): for runs that must repeat, not for secrets. */
export function seededEntropy(seed: number): EntropySource {
  let word = (seed >>> 0) || 0x9e3779b9; // 0 is the generator's fixed point
  return {
    fill(into) {
      for (let i = 0; i < into.length; i++) {
        word ^= word << 13;
        word ^= word >>> 17;
        word ^= word << 5;
        into[i] = word >>> 24;
      }
    },
  };
}
