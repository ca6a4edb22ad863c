/** The one place that names the entity library. Inline specifiers, so that importing `mod.ts` from a URL works. */
export {
  addComponent,
  addEntity,
  createWorld as createEntityWorld,
  query,
  removeComponent,
  removeEntity,
} from "npm:bitecs@0.4.0";
export type { World as EntityWorld } from "npm:bitecs@0.4.0";
