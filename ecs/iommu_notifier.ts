/** IOMMU notifier: somebody who mirrors what an IOMMU translates. */
import type { Translation } from "./iommu.ts";

/** What a notifier wants to hear of, and what it hears of; a bit set. */
export const NotifierEvent = { MAP: 1, UNMAP: 2, DEVICE_UNMAP: 4 } as const;

/** One change. Addresses are bytes from the region's start, as `[start, end)`. */
export interface IommuEvent {
  /** One bit of {@linkcode NotifierEvent}. */
  readonly event: number;
  readonly start: number;
  readonly end: number;
  /** Of what is mapped. */
  readonly translation?: Translation;
}

export interface IommuNotifier {
  readonly name: string;
  readonly events: number;
  readonly start: number;
  readonly end: number;
  readonly index: number;
  readonly notify: (event: IommuEvent) => void;
}
