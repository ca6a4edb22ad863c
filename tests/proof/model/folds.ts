/** Folds: what a listener was told, added up. What cannot be added up, such as a range that is added twice, is an error. */
import { assert, assertEquals } from "@std/assert";
import type { CoalescedSection, IoEventSection, ListenerCallbacks, Section } from "../../../ecs/listener.ts";

export interface Follows {
  readonly logs: boolean;
  /** Is asked for stores to all ranges at once. */
  readonly isGlobal: boolean;
  readonly ioEvents: boolean;
  readonly coalesced: boolean;
  readonly nops: boolean;
  /** Is asked before a range comes. */
  readonly prepares: boolean;
}

/** What callbacks do besides adding up. */
export interface Hooks {
  /** At the end of each callback. */
  heard(): void;
  /** In `logSync`: reports a store to the section that nobody else knows of. */
  report(section: Section): void;
}

export class Fold {
  readonly shown = new Map<number, Section>();
  /** Who logs, by the address of the range. */
  readonly masks = new Map<number, number>();
  readonly events = new Set<string>();
  /** Ranges that it accepted, which are about to come. */
  readonly prepared = new Map<number, Section>();
  /** Coalesced ranges, which may be there several times. */
  readonly extents = new Map<string, number>();
  /** What it heard of the collection of dirty bits. */
  readonly collection: string[] = [];
  isTracking = false;
  /** Between `begin` and `commit`. */
  isTelling = false;
  /** Throws when tracking starts, or a range is about to come. */
  refuses = false;

  constructor(readonly name: string, readonly follows: Follows, private readonly hooks: Hooks) {}

  callbacks(): ListenerCallbacks {
    const { follows } = this;
    return {
      begin: () => this.#begin(),
      regionAdd: (section) => this.#add(section),
      regionDel: (section) => this.#del(section),
      commit: () => this.#commit(),
      ...(follows.prepares
        ? {
          regionPrepare: (section: Section) => this.#prepare(section),
          regionCancel: (section: Section) => this.#cancel(section),
        }
        : {}),
      ...(follows.nops ? { regionNop: (section: Section) => this.#nop(section) } : {}),
      ...(follows.logs ? this.#logCallbacks() : {}),
      ...(follows.ioEvents
        ? {
          ioEventAdd: (section: IoEventSection) => this.#addEvent(eventText(section)),
          ioEventDel: (section: IoEventSection) => this.#delEvent(eventText(section)),
        }
        : {}),
      ...(follows.coalesced
        ? {
          coalescedAdd: (section: CoalescedSection) => this.#count(extentText(section), 1),
          coalescedDel: (section: CoalescedSection) => this.#count(extentText(section), -1),
        }
        : {}),
    };
  }

  #logCallbacks(): ListenerCallbacks {
    return {
      logStart: ({ address }, before, after) => this.#mask(address, before, after),
      logStop: ({ address }, before, after) => this.#mask(address, before, after),
      logGlobalStart: () => {
        if (this.refuses) throw new Error("this listener refuses");
        this.#track(true);
      },
      logGlobalStop: () => this.#track(false),
      logClear: (section) => this.#hear(clearText(section)),
      afterSync: () => this.#hear("over"),
      ...(this.follows.isGlobal ? { logSyncGlobal: () => this.#hear("sync") } : {
        logSync: (section: Section) => {
          this.#hear(syncText(section));
          this.hooks.report(section);
        },
      }),
    };
  }

  /** It left: all that it was told is taken back. */
  assertEmpty(): void {
    assertEquals([...this.shown.keys(), ...this.masks.keys(), ...this.events, ...this.extents.keys()], [], this.name);
  }

  #begin(): void {
    assert(!this.isTelling, `${this.name}: begin after begin`);
    this.isTelling = true;
    this.hooks.heard();
  }

  #commit(): void {
    assert(this.isTelling, `${this.name}: commit without begin`);
    this.isTelling = false;
    assertEquals(this.prepared.size, 0, `ranges that ${this.name} accepted and that did not come`);
    this.hooks.heard();
  }

  #prepare(section: Section): void {
    const { address } = section;
    assert(!this.isTelling && !this.prepared.has(address), `${this.name} is asked for ${address} twice, or too late`);
    if (this.refuses) throw new Error("this listener refuses");
    this.hooks.heard();
    this.prepared.set(address, section); // it has accepted when it returns
  }

  #cancel({ address }: Section): void {
    assert(this.prepared.delete(address), `${this.name} accepted nothing at ${address} that could be cancelled`);
    this.hooks.heard();
  }

  #add(section: Section): void {
    const { address } = section;
    if (this.follows.prepares) {
      assertEquals(this.prepared.get(address)?.region, section.region, `${this.name} was asked`);
    }
    this.prepared.delete(address);
    assert(
      this.isTelling && !this.shown.has(address),
      `${this.name}: ${address} is added twice, or outside of a commit`,
    );
    this.shown.set(address, section);
    if (this.follows.logs) this.masks.set(address, 0);
    this.hooks.heard();
  }

  #del({ address, size, region }: Section): void {
    const known = this.shown.get(address);
    assert(this.isTelling && known?.size === size && known.region === region, `${this.name}: an unknown range went`);
    assert((this.masks.get(address) ?? 0) === 0, `${this.name}: ${address} went while it was logged`);
    this.shown.delete(address);
    this.masks.delete(address);
    this.hooks.heard();
  }

  #nop({ address, size, region }: Section): void {
    const known = this.shown.get(address);
    assert(this.isTelling && known?.size === size && known.region === region, `${this.name}: an unknown range stays`);
    this.hooks.heard();
  }

  /** A mask that gains and loses is told twice. */
  #mask(address: number, before: number, after: number): void {
    const known = this.masks.get(address);
    assert(known === before || known === after, `${this.name}: ${before} to ${after} logs ${address}, was ${known}`);
    this.masks.set(address, after);
    this.hooks.heard();
  }

  #track(on: boolean): void {
    assert(this.isTracking !== on, `${this.name}: tracking is ${on} already`);
    this.isTracking = on;
    this.hooks.heard();
  }

  #hear(text: string): void {
    this.collection.push(text);
    this.hooks.heard();
  }

  #addEvent(text: string): void {
    assert(!this.events.has(text), `${this.name}: io event ${text} is added twice`);
    this.events.add(text);
    this.hooks.heard();
  }

  #delEvent(text: string): void {
    assert(this.events.delete(text), `${this.name}: an unknown io event went: ${text}`);
    this.hooks.heard();
  }

  #count(text: string, by: 1 | -1): void {
    const count = (this.extents.get(text) ?? 0) + by;
    assert(count >= 0, `${this.name}: an unknown coalesced range went: ${text}`);
    if (count === 0) this.extents.delete(text);
    else this.extents.set(text, count);
    this.hooks.heard();
  }
}

export function eventText({ address, size, data, notifier }: Omit<IoEventSection, "space">): string {
  return `${address}/${size}=${data ?? "any"} ${notifier}`;
}

export function extentText({ region, address, size }: Omit<CoalescedSection, "space">): string {
  return `${region}: ${address}+${size}`;
}

export function syncText({ address, size }: Pick<Section, "address" | "size">): string {
  return `sync ${address}+${size}`;
}

export function clearText({ address, size, offset }: Pick<Section, "address" | "size" | "offset">): string {
  return `clear ${address}+${size} from ${offset}`;
}
