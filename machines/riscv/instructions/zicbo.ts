/** Zicbom and Zicboz: cache-block management and zeroing (unprivileged specification, chapter "CMO"). */
import { cbo, extension } from "../encoding.ts";

export const ZICBOM = extension("Zicbom", [
  cbo("cbo.inval", 0, { shape: "cacheBlock", action: "inval" }),
  cbo("cbo.clean", 1, { shape: "cacheBlock", action: "clean" }),
  cbo("cbo.flush", 2, { shape: "cacheBlock", action: "flush" }),
]);

export const ZICBOZ = extension("Zicboz", [
  cbo("cbo.zero", 4, { shape: "cacheBlock", action: "zero" }),
]);
