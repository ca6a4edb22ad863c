/** A `virt` machine as programs see it: built by one call, run, reset and disposed of. */
import type { AddressSpace } from "../../ecs/address_space.ts";
import type { Clock } from "../../ecs/clock.ts";
import { type Device, deviceRows } from "../../ecs/device.ts";
import { resolveAny } from "../../ecs/handle.ts";
import { isOwnerOrAbove, type Owner } from "../../ecs/owner.ts";
import { closeGuestMemory, createGuestMemory, type GuestMemory } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld, type World } from "../../ecs/world.ts";
import { forgetGuest, setGuestRunning } from "../../systems/dirty_tracking.ts";
import { writeRom } from "../../systems/dma.ts";
import { drop } from "../../systems/finalize.ts";
import { resetDevice, unplug } from "../../systems/plug.ts";
import { createClock, nextDeadline } from "../../systems/timers.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { createContainer, createOwner, ramOf } from "../../systems/create_region.ts";
import { CallbackBackend, type HostedCharacterBackend } from "../backends/character.ts";
import { type EntropySource, hostEntropy, seededEntropy } from "../backends/entropy.ts";
import { Execution } from "../execute.ts";
import { type GuestClock, HostClock, InstructionClock } from "../guest_clock.ts";
import { planBoot } from "../loader/firmware.ts";
import { type DeviceTree, readDeviceTree } from "../loader/flattened_device_tree.ts";
import { ALL_FEATURES } from "../riscv/features.ts";
import type { Hart } from "../riscv/hart.ts";
import { BackgroundCompiler } from "../riscv/translator/background_compiler.ts";
import type { TranslationReport } from "../riscv/translator/statistics.ts";
import {
  DEFAULT_TRANSLATION,
  MAX_REGIONS,
  MAX_THRESHOLD,
  type TranslatorOptions,
} from "../riscv/translator/translator.ts";
import { addDevice } from "./add_device.ts";
import { type Board, boardMemoryBytes, wireBoard } from "./board.ts";
import { type DescribedBoard, describeVirt } from "./device_tree.ts";
import { MAX_HARTS, MAX_RAM_BYTES, MEMORY_MAP, TIMEBASE_HZ } from "./memory_map.ts";
import type { Accelerator, ExitStatus, Translation, VirtOptions } from "./options.ts";

/** A machine can't be built as asked, or not be used any more. */
export class MachineError extends Error {
  override name = "MachineError";
}

const DEFAULT_ACCELERATOR: Accelerator = "jit";
const DEFAULT_RAM_BYTES = 128 * 2 ** 20;
const PAGE_BYTES = 4096;
/** 2000-01-01, for runs that must repeat. */
const REPEATABLE_EPOCH = Date.UTC(2000, 0, 1);
const REPEATABLE_SEED = 1;

/**
 * Builds a machine, in reset.
 *
 * @throws {MachineError} if a number is out of range; {ImageError} or {DeviceTreeError} if a file can't be used;
 * {DeviceError} if a device can't be added. Then nothing is left behind.
 */
export function createVirt(options: VirtOptions = {}): VirtMachine {
  const { harts = 1, ramBytes = DEFAULT_RAM_BYTES } = options;
  if (!(Number.isInteger(harts) && harts >= 1 && harts <= MAX_HARTS)) {
    throw new MachineError(`a machine can't have ${harts} harts: it has 1 to ${MAX_HARTS}`);
  }
  if (!(ramBytes >= PAGE_BYTES && ramBytes <= MAX_RAM_BYTES && ramBytes % PAGE_BYTES === 0)) {
    throw new MachineError(`a machine can't have ${ramBytes} bytes of RAM: whole pages of 4 KiB, at most 3 GiB`);
  }
  return new VirtMachine(options, harts, ramBytes);
}

export class VirtMachine {
  readonly world: World;
  /** Owns everything of this machine. */
  readonly owner: Owner;
  /** Root of the guest-physical address space: where a program adds its own regions. */
  readonly system: Region;
  readonly space: AddressSpace;
  /** RAM and the harts' own state. */
  readonly memory: GuestMemory;
  readonly clock: Clock;
  /** The board's harts and devices by role. */
  readonly board: Board;
  /** Devices of the options, in their order. */
  readonly added: readonly Device[];

  readonly #options: VirtOptions;
  readonly #harts: Hart[] = [];
  readonly #time: GuestClock;
  /** Not there yet while the board is wired, which moves lines and deadlines. */
  readonly #execution: Execution | undefined;
  readonly #compiler: BackgroundCompiler | undefined;
  readonly #tree: () => DeviceTree;
  readonly #entropy: EntropySource;
  readonly #serial: HostedCharacterBackend;
  #request: ExitStatus | undefined;
  #running = false;
  #disposed = false;

  /** Use {@linkcode createVirt}, which checks. */
  constructor(options: VirtOptions, hartCount: number, ramBytes: number) {
    const world = this.world = options.world ?? createWorld();
    this.memory = createGuestMemory(boardMemoryBytes(hartCount, ramBytes));
    const { features = ALL_FEATURES, instructionClock, devices = [], characters = [] } = options;
    this.#options = options;
    this.#serial = options.serial ?? new CallbackBackend(options.onOutput);
    this.#entropy = options.entropy ?? (instructionClock ? seededEntropy(REPEATABLE_SEED) : hostEntropy);
    this.#tree = treeSource(options.deviceTree, { harts: hartCount, ramBytes, features });
    const harts = this.#harts;
    this.#time = instructionClock === undefined ? new HostClock() : new InstructionClock(
      instructionClock.shift,
      instructionClock.sleep ?? true,
      () => harts.reduce((sum, hart) => sum + hart.instret, 0),
    );

    this.owner = createOwner(world, { name: options.name ?? "machine" });
    try {
      this.system = createContainer(world, { name: "system", size: 2 ** 64, owner: this.owner });
      this.space = createAddressSpace(world, { name: "memory", root: this.system, owner: this.owner });
      this.clock = createClock(world, {
        name: "virtual",
        now: () => this.#time.now(),
        onDeadlineChange: () => this.#execution?.endTurn(),
      });
      this.board = wireBoard({
        world,
        owner: this.owner,
        system: this.system,
        space: this.space,
        clock: this.clock,
        memory: this.memory,
        harts,
        hartCount,
        features,
        ramBytes,
        serial: this.#serial,
        lineRaised: () => this.#execution?.wake(),
        host: {
          shutdown: (status) => this.#end({ reason: "power-off", status }),
          reset: () => this.#end({ reason: "reset", status: 0 }),
        },
        legacyVirtio: options.legacyVirtio ?? true,
        watch: options.watch,
        epoch: options.epoch ?? (instructionClock ? REPEATABLE_EPOCH : Date.now()),
      });
      const { accelerator = DEFAULT_ACCELERATOR } = options;
      if (accelerator !== "interp") {
        const isSystem = (options.kernel?.bytes.length ?? 0) >= SYSTEM_BYTES;
        const translation = translationOf(options.translation, accelerator === "check", isSystem);
        harts[0]?.translate(translation);
        if (!translation.eager) {
          const compiler = this.#compiler = new BackgroundCompiler();
          harts[0]?.translateBy(compiler);
          // That takes 40 ms, for which nobody waits yet.
          if (isSystem) compiler.start();
        }
      }
      this.#execution = new Execution({
        world,
        timers: this.clock,
        time: this.#time,
        harts: harts.map((hart) => options.processor?.(hart, this.memory) ?? hart),
        deadline: () => this.#deadline(),
        inputs: [...new Set([this.#serial, ...characters])],
        repeatable: instructionClock !== undefined,
      });
      this.added = devices.map((request) => addDevice(this, request));
      this.#powerOn();
    } catch (error) {
      this.#tearDown();
      throw error;
    }
  }

  get harts(): readonly Hart[] {
    return this.#harts;
  }

  /** What each hart's translated code did, and what the translator did for all of them; nothing without a translator. */
  get translation(): readonly TranslationReport[] {
    const { accelerator = DEFAULT_ACCELERATOR } = this.#options;
    return accelerator === "interp" ? [] : this.#harts.map((hart) => hart.translation);
  }

  /** Runs until the guest powers off, or wants to restart and may not, or {@linkcode stop} is called. */
  async run(): Promise<ExitStatus> {
    this.#checkAlive();
    if (this.#running) throw new MachineError("the machine runs already");
    this.#running = true;
    setGuestRunning(this.world, true, this.owner);
    try {
      for (;;) {
        await this.#execution?.run();
        const request = this.#request ?? STOPPED;
        this.#request = undefined;
        if (request.reason !== "reset" || this.#options.rebootAllowed === false) return request;
        this.#powerOn();
      }
    } finally {
      this.#running = false;
      setGuestRunning(this.world, false, this.owner);
    }
  }

  /** Makes {@linkcode run} return soon. The machine can be run on. */
  stop(): void {
    this.#request ??= STOPPED;
    this.#execution?.stop();
  }

  /** Input for the guest's UART, if no `serial` backend was given. Text is sent as UTF-8. */
  type(input: string | Uint8Array): void {
    if (!(this.#serial instanceof CallbackBackend)) {
      throw new MachineError("the machine's UART has a backend of its own");
    }
    this.#serial.type(input);
  }

  /** As if by the reset button: devices, memory contents that come from files, harts. What else is in RAM stays. */
  reset(): void {
    this.#checkAlive();
    if (this.#running) this.#end({ reason: "reset", status: 0 });
    else this.#powerOn();
  }

  /** Returns everything: devices are unplugged, memory is free. The machine must not run. Idempotent. */
  dispose(): void {
    if (this.#running) throw new MachineError("the machine is running and can't be disposed of; stop it first");
    if (this.#disposed) return;
    this.#tearDown();
  }

  /** The next timer of a device, or the next of the harts' own (stimecmp), on the board's clock. */
  #deadline(): number {
    const devices = nextDeadline(this.world, this.clock);
    const now = this.#time.now();
    // From the tick's beginning: the instruction at which a timer is due must not depend on when this is asked.
    const tick = now - now % NANOSECONDS_PER_TICK;
    const harts = this.harts.map((hart) => {
      const ticks = hart.nextDeadline();
      return ticks === undefined ? Infinity : tick + Number(ticks - hart.time()) * NANOSECONDS_PER_TICK;
    });
    return Math.min(devices, ...harts);
  }

  #end(request: ExitStatus): void {
    this.#request ??= request;
    this.#execution?.stop();
  }

  /** The order of a reset: devices as they were plugged, then memory, which firmware reads, then harts. */
  #powerOn(): void {
    const { world, space } = this;
    for (const device of this.#devices()) resetDevice(world, device);
    const { ram } = this.board;
    const { address: ramBase } = MEMORY_MAP.dram;
    const ramBytes = ramOf(world, ram).size;
    const plan = planBoot(this.#options, ramBase, ramBytes, this.#tree(), (seed) => this.#entropy.fill(seed));
    for (const { address, bytes, size } of plan.parts) {
      writeRom(world, space, address, bytes);
      for (let at = bytes.length; at < size; at += ZEROS.length) {
        writeRom(world, space, address + at, ZEROS.subarray(0, size - at));
      }
    }
    writeRom(world, space, MEMORY_MAP.resetVector.address, plan.resetVector);
    for (const hart of this.#harts) hart.reset({ pc: BigInt(MEMORY_MAP.resetVector.address) });
  }

  /** This machine's devices that are not parts of others, in order of creation. */
  #devices(): Device[] {
    const above = resolveAny(this.world, this.owner);
    return [...deviceRows(this.world)]
      .filter((row) => row.parent === undefined && row.bus === undefined && row.stage !== "unplugged")
      .map((row) => row.device)
      .filter((device) => isOwnerOrAbove(this.world, above, resolveAny(this.world, device)));
  }

  #tearDown(): void {
    this.#disposed = true;
    this.#compiler?.dispose();
    forgetGuest(this.world, this.owner);
    closeGuestMemory(this.memory);
    for (const device of this.#devices().reverse()) unplug(this.world, device);
    for (const hart of this.#harts) hart.dispose();
    drop(this.world, this.owner);
  }

  #checkAlive(): void {
    if (this.#disposed) throw new MachineError("the machine was disposed of");
  }
}

function translationOf(tuning: Translation = {}, isChecked: boolean, isSystem: boolean): TranslatorOptions {
  const { threshold = DEFAULT_TRANSLATION.threshold } = tuning;
  const eager = threshold === 1;
  const { regions = eager ? MAX_REGIONS : DEFAULT_TRANSLATION.limit } = tuning;
  const isWithin = (value: number, most: number) => Number.isInteger(value) && value >= 1 && value <= most;
  if (!isWithin(threshold, MAX_THRESHOLD) || !isWithin(regions, MAX_REGIONS)) {
    throw new MachineError(
      `translation can't have threshold ${threshold} and ${regions} regions: ` +
        `they are 1 to ${MAX_THRESHOLD} and 1 to ${MAX_REGIONS}`,
    );
  }
  return {
    ...DEFAULT_TRANSLATION,
    threshold,
    limit: regions,
    eager,
    isChecked,
    ...eager && { bytes: EAGER_BYTES },
    ...isSystem && { foreground: 0 },
  };
}

/** A kernel from this size on is a system's: it has so much to translate that a worker does it from the start. */
const SYSTEM_BYTES = 2 ** 20;

/** What is kept of translated code where all of it is: code that runs once would drive out the rest again and again. */
const EAGER_BYTES = 64 << 20;

const NANOSECONDS_PER_TICK = 1e9 / TIMEBASE_HZ;
const ZEROS = new Uint8Array(65536);
const STOPPED: ExitStatus = { reason: "stopped", status: 0 };

/** Gives a tree that the loader may complete; a new one at every reset. */
function treeSource(file: Uint8Array | undefined, board: DescribedBoard): () => DeviceTree {
  if (file === undefined) return () => describeVirt(board);
  readDeviceTree(file);
  return () => readDeviceTree(file);
}
