/**
 * virtio-rng: a source of entropy (virtio 1.2, section 5.4). The driver offers writable buffers, the device fills them.
 *
 * @module
 */
import type { EntropySource } from "../../backends/entropy.ts";
import { type Instance, link, type PropertiesOf } from "../define.ts";
import {
  defineVirtioDevice,
  finishRequest,
  guestRam,
  takeRequest,
  type VirtioFunction,
  type VirtioState,
  virtioState,
} from "./function.ts";
import { RING_FEATURES, writeToChain } from "./queue.ts";

const QUEUE_SIZE = 8;
/** At most this much of a request is filled: the device must fill a byte or more (5.4.6.1), and a driver asks for few. */
const REQUEST_BYTES = 65536;
/** Bytes for one notification before the rest waits for a bottom half. */
const BUDGET_BYTES = 4 * REQUEST_BYTES;

const properties = { rng: link<EntropySource>("source of the bytes", { shared: true }) };
type D = Instance<VirtioState, PropertiesOf<typeof properties>>;

const bytes = new Uint8Array(REQUEST_BYTES);

const virtio: VirtioFunction<D> = {
  id: 4,
  features: (d) => d.state.legacy ? RING_FEATURES.ANY_LAYOUT : 0,
  serve(d, queue) {
    for (let budget = BUDGET_BYTES; budget > 0;) {
      const request = takeRequest(d, queue);
      if (request === undefined) return false;
      const part = bytes.subarray(0, Math.min(request.writableBytes, REQUEST_BYTES));
      d.properties.rng.fill(part);
      finishRequest(d, queue, request, writeToChain(guestRam(d), request, 0, part));
      budget -= part.length + 1;
    }
    return true;
  },
};

export const virtioRng = defineVirtioDevice<VirtioState, typeof properties>({
  type: "virtio-rng-device",
  description: "source of entropy",
  properties,
  state: () => virtioState([QUEUE_SIZE]),
  virtio,
});
