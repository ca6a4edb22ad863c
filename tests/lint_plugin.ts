/** Lint rules of this project: what the compiler cannot check about imports. */
const LAYERS = ["ecs", "systems", "machines"];

const plugin: Deno.lint.Plugin = {
  name: "freehold",
  rules: {
    // A URL import resolves with the importer's configuration, so a name from our import map would not be found.
    "no-bare-specifier": {
      create(context) {
        if (/\/(tests|bench)\//.test(context.filename)) return {};
        return onImport((specifier, range) => {
          if (/^(\.{1,2}\/|npm:|node:)/.test(specifier)) return;
          context.report({ range, message: `bare specifier "${specifier}" breaks URL imports` });
        });
      },
    },
    // ecs < systems < machines: no arrow runs upward.
    "no-upward-import": {
      create(context) {
        const layer = LAYERS.findLastIndex((name) => context.filename.includes(`/${name}/`));
        if (layer < 0 || /\/(tests|bench)\//.test(context.filename)) return {};
        return onImport((specifier, range) => {
          const target = LAYERS.findIndex((name) => specifier.includes(`../${name}/`));
          if (target <= layer) return;
          context.report({ range, message: `${LAYERS[layer]}/ must not import ${LAYERS[target]}/` });
        });
      },
    },
  },
};

function onImport(check: (specifier: string, range: [number, number]) => void) {
  const visit = (node: { source?: { value: unknown } | null; range: [number, number] }) => {
    const specifier = node.source?.value;
    if (typeof specifier === "string") check(specifier, node.range);
  };
  return {
    ImportDeclaration: visit,
    ExportNamedDeclaration: visit,
    ExportAllDeclaration: visit,
  };
}

export default plugin;
