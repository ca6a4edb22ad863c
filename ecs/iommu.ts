/** IOMMU: a region that leads accesses on into another address space, page by page (specification 1.17). */
import type { AddressSpace } from "./address_space.ts";
import type { IommuNotifier } from "./iommu_notifier.ts";

/** What a translation allows, and what an access wants; a bit set. */
export const Permission = { NONE: 0, READ: 1, WRITE: 2, READ_WRITE: 3 } as const;

/** Where a page leads. The core keeps none of it, so that a device may keep and reuse its own. */
export interface Translation {
  readonly target: AddressSpace;
  /** Any address in the page that it leads to, halves as int32. */
  readonly hi: number;
  readonly lo: number;
  /** Bytes, a power of two up to 2^64. The low bits of the accessed address stay as they are. */
  readonly pageSize: number;
  readonly permission: number;
}

/** What a device that translates implements. */
export interface IommuOps<S> {
  /**
   * Where the page at the offset (hi, lo) of the region leads; undefined: nowhere. Called inside a read scope, for every
   * access. It may walk tables in memory, but not through itself.
   *
   * @param wanted READ or WRITE; NONE: somebody only looks, so nothing is recorded.
   * @param index Of the translation context: see `indexOf`.
   */
  translate(state: S, hi: number, lo: number, wanted: number, index: number): Translation | undefined;
  /** Smallest page, a power of two; default 4096. */
  readonly minPageSize?: number;
  /** The context that an access with these attributes uses; default 0. */
  indexOf?(attrs: number): number;
  /** How many contexts there are; default 1. */
  readonly indexes?: number;
  /** Tells `tell` all that is mapped in a context now; default: pages are asked for one by one. */
  replay?(state: S, index: number, tell: (address: number, translation: Translation) => void): void;
  /** What notifiers want together changes, a bit set of `NotifierEvent`. Throws to refuse a new notifier. */
  notifiersChanged?(state: S, before: number, after: number): void;
}

/** Operations bound to a region. */
export interface Iommu {
  readonly ops: IommuOps<unknown>;
  readonly state: unknown;
  /** Replaced, never changed in place: a walk keeps the list that it began. */
  notifiers: readonly IommuNotifier[];
  /** A table walk is under way. */
  isTranslating: boolean;
  /** A cycle was traced: once, ever. */
  warned: boolean;
}

export function bindIommu<S>(ops: IommuOps<S>, state: S): Iommu {
  return { ops: ops as IommuOps<unknown>, state, notifiers: [], isTranslating: false, warned: false };
}

export function minPageSize({ ops }: Iommu): number {
  return ops.minPageSize ?? 0x1000;
}
