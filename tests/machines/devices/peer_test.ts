/**
 * The same accesses through the peer's devices and through ours. Known differences, where the specification wins: the
 * PLIC's source 0 has no enable bit, and source 96 has one; a claim does not look at the threshold; while a source is in
 * service it is not pending; and after completion a level that stays asks again.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { deviceRow } from "../../../ecs/device.ts";
import type { Level } from "../../../ecs/irq.ts";
import type { AccessSize } from "../../../ecs/region.ts";
import { clint } from "../../../machines/devices/aclint.ts";
import { lineLevel } from "../../../machines/devices/define.ts";
import { fwCfg } from "../../../machines/devices/fw_cfg.ts";
import { goldfishRtc } from "../../../machines/devices/goldfish_rtc.ts";
import { ns16550a } from "../../../machines/devices/ns16550a.ts";
import { plic } from "../../../machines/devices/plic.ts";
import { driveInput } from "../../../systems/interrupts.ts";
import { load } from "../../../systems/dma.ts";
import { createRam } from "../../../systems/create_region.ts";
import { addSubregion } from "../../../systems/topology.ts";
import { askPeer, findPeerDevice, hasPeer } from "./qtest.ts";
import { Rig } from "./rig.ts";

const ignore = !hasPeer();
const LETTER = { 1: "b", 2: "w", 4: "l", 8: "q" };
const PLIC = 0xc000000;

interface Step {
  readonly address: number;
  readonly size: AccessSize;
  /** Absent: a read. */
  readonly value?: bigint;
}

const at = (address: number, size: AccessSize, value?: bigint): Step => ({ address, size, value });

function command({ address, size, value }: Step): string {
  const verb = `${value === undefined ? "read" : "write"}${LETTER[size]} 0x${address.toString(16)}`;
  return value === undefined ? verb : `${verb} 0x${value.toString(16)}`;
}

/** Ours: what a read gives; 0 for a write. */
function perform(rig: Rig, { address, size, value }: Step): bigint {
  if (value !== undefined) {
    rig.write(address, value, size);
    return 0n;
  }
  return size === 8 ? rig.read64(address) : BigInt(rig.read(address, size));
}

async function compare(rig: Rig, steps: readonly Step[]): Promise<void> {
  const { values: theirs } = await askPeer(steps.map(command));
  steps.forEach((step, index) => {
    assertEquals(perform(rig, step), theirs[index], `step ${index}: ${command(step)}`);
  });
}

/** The same steps in every run, so that a difference can be looked into. */
function sample(step: fc.Arbitrary<Step>, count: number): Step[] {
  return fc.sample(step, { seed: 16550, numRuns: count });
}

Deno.test({
  name: "16550A: registers and interrupt line as the peer's, over random accesses in and out of loopback",
  ignore,
  async fn() {
    const rig = new Rig();
    const device = rig.plug(ns16550a, 0x10000000);
    const byte = fc.bigInt({ min: 0n, max: 255n });
    const write = fc.tuple(fc.constantFrom(0, 1, 2, 3, 4, 7, 0, 0, 1, 2), byte).map(([register, value]) =>
      // Loopback is on in most writes of MCR, else nothing is ever received; DLAB in few writes of LCR.
      at(
        0x10000000 + register,
        1,
        register === 4 && value > 50n ? value | 16n : register === 3 && value < 200n ? 3n : value,
      )
    );
    const size = fc.constantFrom<AccessSize>(1, 1, 1, 2, 4);
    const read = fc.tuple(fc.integer({ min: 0, max: 7 }), size)
      .map(([register, width]) => at(0x10000000 + register - register % width, width));
    const random = sample(fc.oneof(write, read), 5000);

    // What an empty RBR shows is nobody's business: read it only where our model has data (both have, or LSR differs).
    const row = deviceRow(rig.world, device);
    const { state } = row as unknown as { state: { rxCount: number; lcr: number } };
    const isEmptyBuffer = ({ address, value }: Step) =>
      value === undefined && address === 0x10000000 && state.rxCount === 0 && state.lcr < 0x80;
    const steps: Step[] = [];
    const ours: string[] = [];
    const show = (value: bigint, level: number) => `0x${value.toString(16)}, line ${level}`;
    for (const step of random) {
      if (isEmptyBuffer(step)) continue;
      steps.push(step);
      ours.push(show(perform(rig, step), lineLevel(row, "irq")));
    }
    const { values, inputs } = await askPeer(steps.map(command), await findPeerDevice("riscv.sifive.plic"));
    const theirs = values.map((value, index) => show(value, Number((inputs[index] ?? 0n) >> 10n & 1n)));
    const first = ours.findIndex((value, index) => value !== theirs[index]);
    const story = steps.slice(Math.max(0, first - 12), first + 1).map(command);
    assertEquals(ours[first], theirs[first], `step ${first}: ${story.join(", ")}`);
    assert(ours.filter((value) => value.endsWith("1")).length > 100, "the line was hardly ever high");
    rig.dispose();
  },
});

Deno.test({
  name: "CLINT: registers as the peer's, over random accesses of words and doublewords",
  ignore,
  async fn() {
    const rig = new Rig();
    rig.plug(clint, 0x2000000, { harts: 2 });
    const register = fc.constantFrom(0x0, 0x4, 0x8, 0x4000, 0x4008, 0x4004, 0x400c, 0x4010, 0x8000, 0xbff8, 0xbffc);
    const value = fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined });
    const step = fc.tuple(register, fc.constantFrom<AccessSize>(4, 8), value).map(([offset, size, to]) => {
      const fits = offset % 8 === 0 && offset >= 0x4000 ? size : 4;
      return at(0x2000000 + offset, fits, to === undefined ? undefined : BigInt.asUintN(fits * 8, to));
    });
    await compare(rig, sample(step, 1000));
    rig.dispose();
  },
});

Deno.test({
  name: "PLIC: priorities, thresholds and enables as the peer's",
  ignore,
  async fn() {
    const rig = new Rig();
    rig.plug(plic, PLIC, { harts: 2 });
    const register = fc.oneof(
      fc.integer({ min: 0, max: 100 }).map((source) => 4 * source),
      fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 2 })).map(([context, word]) => 0x2000 + 0x80 * context + 4 * word),
      fc.nat(4).map((context) => 0x200000 + 0x1000 * context),
      fc.constantFrom(0x1000, 0x1004, 0x3000, 0x200004, 0x5ffffc),
    );
    // The peer takes priorities modulo 8 as we do; only writes to pending are left out: they are not defined.
    const value = fc.option(fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), { nil: undefined });
    const step = fc.tuple(register, value).map(([offset, to]) =>
      at(PLIC + offset, 4, offset >> 12 === 1 ? undefined : to)
    );
    await compare(rig, sample(step, 1000));
    rig.dispose();
  },
});

Deno.test({
  name: "PLIC: claims come in the peer's order, for drivers that serve the device before they complete",
  ignore,
  async fn() {
    const rig = new Rig();
    const device = rig.plug(plic, PLIC, { harts: 2 });
    const path = await findPeerDevice("riscv.sifive.plic");
    const commands: string[] = [];
    const ours: bigint[] = [];
    const access = (offset: number, value?: bigint) => {
      const step = at(PLIC + offset, 4, value);
      commands.push(command(step));
      ours.push(perform(rig, step));
    };
    const drive = (source: number, level: Level) => {
      commands.push(`set_irq_in ${path} unnamed-gpio-in ${source} ${level}`);
      ours.push(0n);
      driveInput(rig.world, device, "source", level, source);
    };
    const actions = fc.sample(
      fc.record({
        kind: fc.nat(5),
        source: fc.integer({ min: 1, max: 95 }),
        value: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }),
      }),
      { seed: 1, numRuns: 1500 },
    );
    for (const { kind, source, value } of actions) {
      const context = Number(value) & 3;
      if (kind === 0) access(4 * source, value & 7n);
      if (kind === 1) access(0x2000 + 0x80 * context + 4 * (source % 3), source % 3 === 0 ? value & ~1n : value);
      if (kind === 2 || kind === 3) drive(source, 1);
      if (kind === 4) access(0x1000 + 4 * (source % 3));
      if (kind === 5) {
        access(0x200004 + 0x1000 * context);
        const claimed = Number(ours.at(-1));
        if (claimed === 0) continue;
        drive(claimed, 0);
        access(0x200004 + 0x1000 * context, BigInt(claimed));
      }
    }
    const { values: theirs } = await askPeer(commands);
    ours.forEach((value, index) => assertEquals(value, theirs[index], `step ${index}: ${commands[index]}`));
    assert(ours.filter((value) => value > 0n && value < 96n).length > 100, "hardly anything was claimed");
    rig.dispose();
  },
});

Deno.test({
  name: "fw_cfg: signature, DMA signature and a DMA read as the peer's",
  ignore,
  async fn() {
    const rig = new Rig();
    const ram = createRam(rig.world, { name: "ram", size: 0x1000, owner: rig.machine });
    addSubregion(rig.world, rig.system, 0x80000000, ram);
    rig.plug(fwCfg, 0x10100000);
    const base = 0x10100000;
    const big = (value: bigint) => new DataView(BigUint64Array.of(value).buffer).getBigUint64(0);
    await compare(rig, [
      ...[1, 2, 4, 8].map((size) => at(base + 16, size as AccessSize)),
      at(base + 20, 4),
      at(base, 4),
      at(base + 8, 2, 0n),
      ...[1, 2, 4, 8, 1].map((size) => at(base, size as AccessSize)),
      at(base + 8, 2, 0x0100n),
      at(base, 8),
      at(base + 8, 2, 0xff3fn),
      at(base, 8),
      at(base + 8, 2, 0n),
      at(base, 1, 1n),
      at(base, 1),
      // Request at 0x80000000: select item 0, read 6 bytes to 0x80000100.
      at(0x80000000, 8, big(0x0000_000a_0000_0006n)),
      at(0x80000008, 8, big(0x8000_0100n)),
      at(0x80000100, 8, 2n ** 64n - 1n),
      at(base + 16, 8, big(0x8000_0000n)),
      at(0x80000000, 8),
      at(0x80000100, 8),
      // Write request: refused.
      at(0x80000000, 8, big(0x0000_0010_0000_0006n)),
      at(base + 16, 4, 0n),
      at(base + 20, 4, big(0x8000_0000n) >> 32n),
      at(0x80000000, 8),
    ]);
    assertEquals(load(rig.world, rig.space, 0x80000100, 1), "Q".charCodeAt(0));
    rig.dispose();
  },
});

Deno.test({
  name: "goldfish RTC: alarm registers as the peer's",
  ignore,
  async fn() {
    const rig = new Rig();
    rig.time = 1000;
    rig.plug(goldfishRtc, 0x101000, { epoch: Date.now() });
    const r = (offset: number, value?: bigint) => at(0x101000 + offset, 4, value);
    const all = [8, 12, 16, 20, 24, 28].map((offset) => r(offset));
    const far = [r(12, 0x7fff_ffffn), r(8, 5n), ...all];
    await compare(rig, [
      ...all,
      ...far,
      r(20, 1n),
      ...all,
      r(16, 0xffn),
      ...all,
      r(12, 0n),
      r(8, 1n),
      ...all,
      r(28, 1n),
      ...all,
    ]);
    rig.dispose();
  },
});
