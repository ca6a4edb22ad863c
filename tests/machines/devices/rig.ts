/** A machine of one address space and a clock that tests turn by hand; devices are plugged in and driven by accesses. */
import { assertEquals } from "@std/assert";
import type { Clock } from "../../../ecs/clock.ts";
import type { Device, DeviceType } from "../../../ecs/device.ts";
import { countEntities } from "../../../ecs/handle.ts";
import type { Level } from "../../../ecs/irq.ts";
import type { Owner } from "../../../ecs/owner.ts";
import type { PropertyDeclarations, PropertyValues } from "../../../ecs/property.ts";
import type { AccessSize, Region } from "../../../ecs/region.ts";
import type { AddressSpace } from "../../../ecs/address_space.ts";
import { createWorld, type World } from "../../../ecs/world.ts";
import { dispatchRead, dispatchWrite } from "../../../systems/dispatch.ts";
import { drop } from "../../../systems/finalize.ts";
import { audit } from "../../../systems/inspect.ts";
import { connect } from "../../../systems/interrupts.ts";
import { plug, unplugAll } from "../../../systems/plug.ts";
import { createClock, nextDeadline, runDueTimers } from "../../../systems/timers.ts";
import { createAddressSpace } from "../../../systems/address_spaces.ts";
import { createContainer, createOwner } from "../../../systems/create_region.ts";

export class Rig {
  readonly world: World;
  readonly machine: Owner;
  readonly system: Region;
  readonly space: AddressSpace;
  readonly clock: Clock;
  readonly faults: Error[] = [];
  readonly traces: string[] = [];
  /** Nanoseconds. */
  time = 0;

  constructor() {
    this.world = createWorld({
      debug: true,
      reportFault: (error) => this.faults.push(error),
      trace: (line) => this.traces.push(line),
    });
    this.machine = createOwner(this.world, { name: "machine" });
    this.system = createContainer(this.world, { name: "system", size: 2n ** 64n, owner: this.machine });
    this.space = createAddressSpace(this.world, { name: "memory", root: this.system, owner: this.machine });
    this.clock = createClock(this.world, { name: "virtual", now: () => this.time });
  }

  /** A realized device with its region "registers" at `base`. */
  plug<S extends object, P extends PropertyDeclarations>(
    type: DeviceType<S, P>,
    base: number,
    properties: PropertyValues = {},
  ): Device {
    return plug(this.world, type, {
      id: type.type,
      owner: this.machine,
      properties,
      addressSpace: this.space,
      clock: this.clock,
      at: [{ region: "registers", container: this.system, offset: base }],
    });
  }

  /** Levels that a line has had since now. */
  watch(device: Device, line: string, index = 0): Level[] {
    const levels: Level[] = [];
    connect(this.world, { device, line, index }, (level) => void levels.push(level));
    return levels;
  }

  read(address: number, size: AccessSize = 4): number {
    return dispatchRead(this.world, this.space, Math.floor(address / 2 ** 32), address | 0, size) >>> 0;
  }

  read64(address: number): bigint {
    const low = this.read(address, 8);
    return BigInt.asUintN(64, BigInt(this.world.access.hi) << 32n | BigInt(low));
  }

  /** @returns MemTx bits. */
  write(address: number, value: number | bigint, size: AccessSize = 4): number {
    const [low, high] = [Number(BigInt.asIntN(32, BigInt(value))), Number(BigInt.asIntN(32, BigInt(value) >> 32n))];
    return dispatchWrite(this.world, this.space, Math.floor(address / 2 ** 32), address | 0, size, low, high);
  }

  /** Turns the clock to `time`, stopping at each deadline on the way. */
  runUntil(time: number): void {
    for (let due = nextDeadline(this.world, this.clock); due <= time; due = nextDeadline(this.world, this.clock)) {
      this.time = Math.max(this.time, due);
      runDueTimers(this.world, this.clock);
    }
    this.time = time;
  }

  /** Everything must end in order: no faults, nothing left. */
  dispose(): void {
    unplugAll(this.world);
    drop(this.world, this.machine);
    audit(this.world);
    assertEquals(this.faults, []);
    assertEquals(countEntities(this.world), 0, "entities are left");
    assertEquals(this.clock.armed.length, 0, "timers are left armed");
  }
}

/** Runs `body` with a rig and disposes of it. */
export function withRig(body: (rig: Rig) => void): () => void {
  return () => {
    const rig = new Rig();
    body(rig);
    rig.dispose();
  };
}
