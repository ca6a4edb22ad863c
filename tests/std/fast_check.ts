/**
 * fast-check, with runs that can be repeated. A property that fails prints its seed and path; the same case runs again, alone,
 * with `FREEHOLD_SEED=… FREEHOLD_PATH=… deno test -P=test --filter "name of the test" FILE`.
 */
// deno-lint-ignore no-import-prefix
import fc from "npm:fast-check@4.10.2";

export * from "npm:fast-check@4.10.2";
export default fc;

const [seed, path] = ["FREEHOLD_SEED", "FREEHOLD_PATH"].map((name) => Deno.env.get(name));
if (seed !== undefined) {
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed), ...(path !== undefined && { path }) });
}
